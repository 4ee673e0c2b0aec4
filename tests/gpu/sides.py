"""One run on the device under test and the same on the CPU, and their allowed differences.

Both multiply in IEEE float32, but a GPU sums in another order. A difference in the last bit can reverse
a signed step, or change a weight's choice between two equally near codes: losses stay close, a few
codes move.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from both_sides import CPU, encodings_of, operators_of_torch, to
from torch import Tensor, nn

import adascale

# The traits of a GPU from compute capability 8.0 on, as in traits_of; the fake device gets the same.
GPU_TRAITS = {
    "multiplies_bfloat16": True,
    "fuses_attention": True,
    "has_tf32": True,
    "runs_ahead": True,
    "pins_memory": True,
}


@dataclass(frozen=True)
class Spread:
    """Allowed differences: the share of codes, and losses before and after training, relative.

    Later blocks read the results of earlier ones: there `after` holds for both losses.
    """

    codes: float
    after: float
    before: float


# Measured on the CPU, 6 iterations, inputs and weights times 1 + noise, four draws, all rows of a
# kind. Noise of 1e-7, the effect of another order of up to 64 terms, moved no code and no loss by
# more than 1e-4. cuDNN may use Winograd or Fourier convolutions, whose error is closer to noise of
# 1e-5: that moved 1.8 % of the codes, the loss after by 2.3 % and the one before by 0.2 %; in five
# blocks in a row 1.4 % and 8 %. 40 iterations of one block, noise of 1e-7: 1.4 % and 3.3 %; of five
# blocks 66 % of the last loss. Models in bf16 and fp16, noise of 2e-3: 4.1 %, 13 % and 12 %.
PRODUCTS = Spread(codes=0.01, after=0.03, before=1e-4)
CONVOLUTIONS = Spread(codes=0.04, after=0.05, before=4e-3)
CHAINS = Spread(codes=0.03, after=0.05, before=1e-4)
LONG = Spread(codes=0.05, after=0.1, before=1e-4)
SHORT_DTYPES = Spread(codes=0.06, after=0.2, before=0.15)


@dataclass
class Run:
    codes: dict[str, Tensor]  # by parameter, on the host
    before: list[float]  # losses, by block
    after: list[float]
    output: Tensor
    report: Any
    sim: Any = field(repr=False)


@contextmanager
def ieee() -> Iterator[None]:
    """No TF32 outside training either: in the float model's convolutions and recurrent layers."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def simulate(model: nn.Module, example: Any, **options: Any) -> Any:
    return adascale.QuantizationSimModel(
        model, example, **{"default_param_bw": 4, "default_output_bw": 32, **options}
    )


def train(
    model: nn.Module,
    data: Sequence[Any],
    device: torch.device,
    *,
    sim_options: dict[str, Any] | None = None,
    kernels: bool = False,
    **training: Any,
) -> Run:
    """Simulates and trains a copy of the model that was moved to the device with its data.

    By tensor operators, or by our kernels.
    """
    moved, batches = copy.deepcopy(model).to(device), to(list(data), device)
    with contextlib.nullcontext() if kernels else operators_of_torch(), ieee():
        sim = simulate(moved, batches[0], **(sim_options or {}))
        report = adascale.apply_adascale(
            sim, batches, **{"num_iterations": 6, "progress": False, "precision": "float32", **training}
        )
        output = adascale.default_forward_fn(sim.model, batches[0])
    return Run(
        {name: codes for name, (codes, _, _) in encodings_of(sim).items()},
        [block.loss_before for block in report.blocks],
        [block.loss_after for block in report.blocks],
        getattr(output, "logits", output).cpu(),
        report,
        sim,
    )


def moved_codes(got: Run, expected: Run) -> dict[str, float]:
    assert got.codes.keys() == expected.codes.keys()
    return {name: (got.codes[name] != codes).float().mean().item() for name, codes in expected.codes.items()}


def assert_near(got: Run, expected: Run, spread: Spread) -> None:
    assert_within(
        got.before[:1], expected.before[:1], spread.before, "the first block's loss before training"
    )
    assert_within(got.before, expected.before, max(spread.before, spread.after), "loss before training")
    assert_within(got.after, expected.after, spread.after, "loss after training")
    for name, share in moved_codes(got, expected).items():
        assert share <= spread.codes, f"{name}: {share:.1%} of the codes differ, allowed {spread.codes:.1%}"


def assert_within(got: Sequence[float], expected: Sequence[float], allowed: float, what: str) -> None:
    off = max(abs(a - b) / max(abs(b), 1e-30) for a, b in zip(got, expected, strict=True))
    assert off <= allowed, f"{what} is off by {off:.1e}, allowed {allowed:.0e}"


def check(
    model: Callable[[], nn.Module], data: Sequence[Any], device: torch.device, spread: Spread, **options: Any
) -> Run:
    """Both runs, compared; returns the device's."""
    made = model().eval()
    got = train(made, data, device, **options)
    assert got.report.device == str(device)
    assert_near(got, train(made, data, CPU, **options), spread)
    return got
