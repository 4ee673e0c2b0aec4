"""A device's abilities decide how it computes; the fake device gets each of them and is watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fake_device  # noqa: F401
import pytest
import torch
from adascale.progress import ProgressEvent
from both_sides import to
from layer_kinds import ROWS, batches
from pairs import FAKE
from small_folders import tiny_llama
from small_models import ConsecutiveBlocks, seed_loader
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import adascale
from adascale import _C


@contextmanager
def traits(**given: bool) -> Iterator[None]:
    _C.set_traits("fake", **given)
    try:
        yield
    finally:
        _C.set_traits("fake")


class Watch(TorchDispatchMode):
    """Operators that ran, with the dtype of their first tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, torch.dtype]] = set()

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = next((arg for arg in args if isinstance(arg, torch.Tensor)), None)
        if first is not None:
            self.seen.add((func.overloadpacket.__name__, first.dtype))
        return func(*args, **(kwargs or {}))


def train(model: Any, data: Any, **training: Any) -> tuple[Any, set[tuple[str, torch.dtype]]]:
    sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
    with Watch() as watch:
        report = adascale.apply_adascale(sim, data, **{"num_iterations": 3, "progress": False, **training})
    return report, watch.seen


class Switches(TorchDispatchMode):
    """Torch's switches while products ran: before the first gradient, and from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.before: set[tuple[bool, bool, str]] = set()
        self.training: set[tuple[bool, bool, str]] = set()
        self._trains = False

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in ("addmm", "mm"):
            self._trains = self._trains or torch.is_grad_enabled()
            (self.training if self._trains else self.before).add(switches())
        return func(*args, **(kwargs or {}))


def switches() -> tuple[bool, bool, str]:
    return (
        torch.backends.cudnn.enabled,
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cuda.matmul.fp32_precision,
    )


def llama() -> tuple[Any, Any]:
    return tiny_llama().to(FAKE), [
        {"input_ids": torch.randint(0, 320, (2, 12), device=FAKE)} for _ in range(3)
    ]


def blocks() -> tuple[Any, Any]:
    return ConsecutiveBlocks(depth=2).eval().to(FAKE), to(seed_loader(), FAKE)


def test_layers_multiply_in_bfloat16_where_that_is_fast() -> None:
    with traits(multiplies_bfloat16=True):
        report, seen = train(*blocks())
        assert report.precision == "bfloat16 up to 4 bits, the rest float32"
        assert ("addmm", torch.bfloat16) in seen
        report, seen = train(*blocks(), precision="float32")
        assert report.precision == "float32" and ("addmm", torch.bfloat16) not in seen
        report, seen = train(*blocks(), recipe="aimet")
        assert report.precision == "float32", "AIMET's own recipe is fp32's"
    report, seen = train(*blocks())
    assert report.precision == "float32" and ("addmm", torch.bfloat16) not in seen
    report, seen = train(*blocks(), precision="bfloat16")
    assert ("addmm", torch.bfloat16) in seen, "asked for, it is done on any device"


def test_attention_is_the_operator_where_it_is_fused() -> None:
    """The operator's own softmax is the safe one, which products do not spell out."""
    with traits(multiplies_bfloat16=True, fuses_attention=True):
        _, seen = train(*llama())
    assert ("_safe_softmax", torch.float32) in seen and ("_softmax", torch.bfloat16) not in seen
    with traits(multiplies_bfloat16=True):
        _, seen = train(*llama())
    assert ("_softmax", torch.bfloat16) in seen, "two products around a softmax"


def test_tf32_is_said() -> None:
    with traits(multiplies_bfloat16=True, has_tf32=True):
        report, _ = train(*blocks())
        assert report.precision == "bfloat16 up to 4 bits, the rest TF32"
        assert "on fake:0 in bfloat16 up to 4 bits, the rest TF32" in str(report)
        report, _ = train(*blocks(), precision="float32")
        assert report.precision == "float32"


SWITCHES: dict[str, tuple[dict[str, bool], dict[str, Any], tuple[bool, bool, str]]] = {
    "as a rule": ({}, {}, (True, False, "none")),
    "deterministic": ({}, {"deterministic": True}, (True, True, "none")),
    "TF32": ({"multiplies_bfloat16": True, "has_tf32": True}, {}, (True, False, "tf32")),
    "TF32 is not for float32": ({"has_tf32": True}, {"precision": "float32"}, (True, False, "none")),
    "recurrent": ({}, {}, (False, False, "none")),
}


@pytest.mark.parametrize("case", SWITCHES)
def test_torchs_switches_are_set_for_training_alone(case: str) -> None:
    """Targets: what is fp32 is full fp32, and deterministic. Training, measuring: the block's settings."""
    given, training, expected = SWITCHES[case]
    model, data = blocks()
    names = ["linear_blocks.1"]
    if case == "recurrent":
        row = next(row for row in ROWS if row.op == "aten::lstm")
        model, data, names = row.make().eval().to(FAKE), to(batches(row, 3), FAKE), None
    sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
    before = switches()
    options = {"num_iterations": 2, "progress": False, "blocks": names, **training}
    with traits(**given), Switches() as watch:
        adascale.apply_adascale(sim, data, **options)
    assert watch.training == {expected}
    assert (True, expected[1], "none") in watch.before, "of the targets"
    assert watch.before <= {(True, expected[1], "none"), expected}
    assert switches() == before


@pytest.mark.parametrize("wanted", ["ieee", "tf32"])
def test_what_the_user_set_for_products_comes_back(wanted: str) -> None:
    model, data = blocks()
    sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
    torch.backends.cuda.matmul.fp32_precision = wanted
    try:
        with traits(multiplies_bfloat16=True, has_tf32=True):
            adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
        assert torch.backends.cuda.matmul.fp32_precision == wanted
    finally:
        torch.backends.cuda.matmul.fp32_precision = "none"


class Masked(nn.Module):
    """Attention whose first query sees no key, by the lowest number of fp32, as in transformers' masks."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(16, 16) for _ in range(3))
        mask = torch.zeros(6, 6)
        mask[0] = torch.finfo(torch.float32).min
        self.register_buffer("mask", mask)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (layer(x).unflatten(-1, (2, 8)).transpose(1, 2) for layer in self.parts())
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=self.mask)
        return attended.transpose(1, 2).flatten(2)

    def parts(self) -> tuple[nn.Module, ...]:
        return self.query, self.key, self.value


def test_a_query_that_sees_nothing_is_the_same_in_bfloat16() -> None:
    losses = {}
    data = [torch.randn(4, 6, 16, device=FAKE) for _ in range(2)]
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(1)
        with traits(fuses_attention=True):
            report, _ = train(
                Masked().eval().to(FAKE), data, precision=precision, recipe="clip", num_iterations=None
            )
        losses[precision] = report.blocks[0].loss_before
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)


@pytest.mark.parametrize("ahead", [False, True])
def test_progress_tells_the_last_loss_that_was_read(ahead: bool) -> None:
    steps: list[int] = []

    def see(*fields: Any) -> None:
        event = ProgressEvent(*fields)
        if event.name == "training" and event.step > 0:
            steps.append(event.step)

    model, data = blocks()
    sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
    with traits(runs_ahead=ahead):
        options = {"num_iterations": 45, "blocks": ["linear_blocks.0"]}
        sim._core.apply_adascale([[x] for x in data], _C.AdaScaleOptions(options), see)
    assert steps == ([20, 40, 45] if ahead else list(range(1, 46)))


def test_running_ahead_changes_no_result() -> None:
    codes = []
    for given in ({}, {"runs_ahead": True, "pins_memory": True}):
        torch.manual_seed(0)
        model, data = blocks()
        sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
        with traits(**given):
            adascale.apply_adascale(sim, data, num_iterations=25, progress=False, device_activation_memory=0)
        codes.append(_C.encodings_of(sim._core))
    assert all(torch.equal(codes[0][name][0], codes[1][name][0]) for name in codes[0])


def test_a_device_whose_kernels_do_not_compile_says_so_and_trains(caplog: pytest.LogCaptureFixture) -> None:
    codes = []
    for given in ({}, {"compiles_kernels": True}):
        torch.manual_seed(0)
        model, data = blocks()
        sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
        with traits(**given):
            adascale.apply_adascale(sim, data, num_iterations=5, progress=False)
        codes.append(_C.encodings_of(sim._core))
    assert caplog.text.count("fake:0 is no CUDA device; weights on fake:0 train by tensor operators") == 1
    assert all(torch.equal(codes[0][name][0], codes[1][name][0]) for name in codes[0])
