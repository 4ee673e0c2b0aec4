"""Models that write to themselves as they run: the caller's stays as it was, and the twins do not mix."""

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from adascale.twin import twin_of
from live_models import Branchy, branchy_data, changed, copies, simulate
from safetensors.torch import load_file
from torch import Tensor

import adascale

pytestmark = pytest.mark.filterwarnings("ignore:The tensor attribute self.mean was assigned during export")
FEW = {"iterations": 2, "batch_size": 4, "progress": False, "param_bw": 3}


class Counting(Branchy):
    """Counts its calls in two views of one buffer and in an attribute, and keeps a value of the first one."""

    mean: Tensor | None = None

    def __init__(self) -> None:
        super().__init__()
        counts = torch.zeros(2)
        self.register_buffer("counts", counts)
        self.register_buffer("first_count", counts[0])
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.counts += 1
        self.calls += 1
        self.mean = x.mean() if self.mean is None else self.mean
        return super().forward(x)


@pytest.mark.parametrize("output_bw", [32, 8])
def test_buffers_stay_and_are_written_as_they_were(output_bw: int, tmp_path: Path) -> None:
    model = Counting().eval()
    before = copies(model)
    adascale.quantize(model, tmp_path, branchy_data(), output_bw=output_bw, **FEW)
    assert not changed(before, model) and model.calls == 0 and model.mean is None
    written = load_file(tmp_path / "Counting.safetensors")
    assert written.keys() == before.keys()
    different = {name for name in before if not torch.equal(before[name], written[name])}
    assert different == {f"layers.{i}.{name}.weight" for i in range(3) for name in ("up", "down")}


def test_buffers_of_a_twin_keep_their_ties() -> None:
    model = Counting().eval()
    model.register_buffer("shown", model.head.weight.detach())
    twin = twin_of(model, own_buffers=True)
    twin.counts += 1
    assert twin.first_count == 1 and not model.counts.any()
    assert twin.shown.data_ptr() == model.head.weight.data_ptr()
    assert twin_of(model).counts is model.counts


def test_the_twin_to_quantize_is_as_the_model_was() -> None:
    sim = simulate(Counting().eval())
    assert sim._core.float_model.calls > 0 and sim.model.calls == 0 and sim.model.mean is None


class Reading(Branchy):
    """Reads a block's weight outside the blocks, by its name there and by another."""

    seen: ClassVar[list[Tensor]] = []

    def __init__(self) -> None:
        super().__init__()
        self.alias = self.layers[0].up

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            self.seen += [self.layers[0].up.weight, self.alias.weight]
            x = layer(x + self.layers[0].up.weight.mean(), scale=0.5)
        return x if x.sum() > 0 else -x


def test_quantized_weights_are_read_outside_the_blocks(tmp_path: Path) -> None:
    model, data = Reading().eval(), [torch.randn(6, 16, generator=torch.Generator().manual_seed(1))]
    before = copies(model)
    adascale.quantize(model, tmp_path, data, **FEW)
    written = load_file(tmp_path / "Reading.safetensors")["layers.0.up.weight"]
    assert not changed(before, model) and not torch.equal(written, before["layers.0.up.weight"])
    *_, by_name, by_alias = Reading.seen  # the last run is the quantized model's, up to the last block
    assert torch.equal(by_name, written) and torch.equal(by_alias, written)
