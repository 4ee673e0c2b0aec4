"""One run on the fake device, and the same on the CPU by the same tensor operators, compared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from both_sides import CPU, encodings_of, operators_of_torch, to
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import adascale

FAKE = torch.device("fake:0")
RELATIVE = 1e-6  # of the largest value: allowed difference between scales and losses of the two runs


@contextmanager
def tensor_operators() -> Iterator[None]:
    """The device's operators, on the CPU too: no kernels of ours, and attention spelled out."""
    with operators_of_torch(), sdpa_kernel([SDPBackend.MATH]):
        yield


@dataclass
class Run:
    """The results of one run."""

    encodings: dict[str, tuple[Tensor, Tensor, Tensor]]  # codes, scale, offset by parameter
    losses: list[float]
    output: Tensor
    device: str
    report: Any = None
    sim: Any = field(default=None, repr=False)


def train(
    model: nn.Module,
    data: Sequence[Any],
    device: torch.device,
    *,
    sim_options: dict[str, Any] | None = None,
    **training: Any,
) -> Run:
    """Simulates and trains a copy of the model that was moved to the device with its data."""
    moved, batches = copy.deepcopy(model).to(device), to(list(data), device)
    options = {"default_param_bw": 4, "default_output_bw": 32, **(sim_options or {})}
    training = {"num_iterations": 6, "progress": False, "precision": "float32", **training}
    with tensor_operators():
        sim = adascale.QuantizationSimModel(moved, batches[0], **options)
        report = adascale.apply_adascale(sim, batches, **training)
        return finished(sim, report, batches[0])


def finished(sim: Any, report: Any, batch: Any) -> Run:
    losses = [loss for block in report.blocks for loss in (block.loss_before, block.loss_after)]
    output = adascale.default_forward_fn(sim.model, batch)
    return Run(encodings_of(sim), losses, getattr(output, "logits", output), report.device, report, sim)


def assert_same(got: Run, expected: Run, *, relative: float = RELATIVE, moved_codes: float = 0.0) -> None:
    """Codes are equal but for a share of ``moved_codes``; scales, offsets and losses but for rounding."""
    assert got.encodings.keys() == expected.encodings.keys()
    for name, (codes, scale, offset) in got.encodings.items():
        own_codes, own_scale, own_offset = expected.encodings[name]
        assert codes.device == scale.device == offset.device == CPU, f"{name}: encodings live on the host"
        different = (codes != own_codes).float().mean().item()
        assert different <= moved_codes, f"{name}: {different:.2%} of the codes differ"
        assert_close(scale, own_scale, relative, name)
        if not moved_codes:
            assert torch.equal(offset, own_offset), name
    assert_close(torch.tensor(got.losses), torch.tensor(expected.losses), relative, "losses")
    if not moved_codes:
        assert_close(got.output.cpu(), expected.output, 10 * relative, "output")


def assert_close(got: Tensor, expected: Tensor, relative: float, what: str) -> None:
    got, expected = got.double(), expected.double()
    allowed = relative * expected.abs().max().clamp_min(1e-30)
    worst = (got - expected).abs().max()
    assert worst <= allowed, f"{what}: off by {worst / expected.abs().max():.2e}, allowed {relative:.0e}"


def check(model: Callable[[], nn.Module], data: Sequence[Any], **options: Any) -> Run:
    """Both runs, compared; returns the device's."""
    bounds = {name: options.pop(name) for name in ("relative", "moved_codes") if name in options}
    made = model().eval()
    got = train(made, data, FAKE, **options)
    expected = train(made, data, CPU, **options)
    assert (got.device, expected.device) == ("fake:0", "cpu")
    assert got.output.device == FAKE
    assert_same(got, expected, **bounds)
    return got
