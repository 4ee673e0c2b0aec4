"""Device memory: the preflight's number, the budgets, and the place of activations beyond them."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import fake_device
import pytest
import torch
from both_sides import CPU, to
from live_models import Branchy
from pairs import FAKE, assert_same, finished, tensor_operators, train
from small_models import ConsecutiveBlocks, seed_loader
from torch import nn

import adascale

MIB = 1 << 20


def limited(free: int) -> Any:
    """A device with that many bytes free."""
    return fake_device.memory_limit(fake_device.used_bytes() + free)


def simulate(model: nn.Module, example: Any) -> Any:
    return adascale.QuantizationSimModel(model, example, default_param_bw=4, default_output_bw=32)


def wide(width: int = 512, depth: int = 2) -> nn.Module:
    return ConsecutiveBlocks(width, depth).eval()


@pytest.mark.parametrize("recipe", ["fast", "aimet"])
@pytest.mark.parametrize("case", ["weights", "activations"])
def test_a_block_takes_about_what_the_preflight_says(recipe: str, case: str) -> None:
    """The refusal comes at the number; training within it never takes more, nor less than a third."""
    width, samples = (1024, 2) if case == "weights" else (128, 512)
    model = wide(width).to(FAKE)
    data = to(seed_loader(width, samples=2 * samples, batch=samples), FAKE)
    sim = simulate(model, data[0])
    text = "the largest block takes about"
    with limited(1), pytest.raises(adascale.Error, match=text) as refusal:
        adascale.apply_adascale(sim, data, num_iterations=2, progress=False, recipe=recipe)
    said = int(str(refusal.value).split("takes about ")[1].split(" MiB")[0]) * MIB
    before = fake_device.used_bytes()
    fake_device.reset_peak()
    training = {"num_iterations": 2, "progress": False, "precision": "float32", "device_activation_memory": 0}
    adascale.apply_adascale(sim, data, recipe=recipe, **training)
    taken = fake_device.peak_bytes() - before
    assert taken <= said + MIB
    assert said <= 3 * taken + MIB


def test_too_small_a_device_is_refused_before_training() -> None:
    model, data = wide().to(FAKE), to(seed_loader(512), FAKE)
    sim = simulate(model, data[0])
    before = copy.deepcopy(model.state_dict())
    with limited(2 * MIB), pytest.raises(adascale.Error) as refusal:
        adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
    text = str(refusal.value)
    assert text.startswith("device: fake:0 has 2 MiB free, and the largest block takes about ")
    assert text.endswith("; give smaller batches, smaller blocks (blocks), or another device")
    assert all(torch.equal(model.state_dict()[name].cpu(), tensor.cpu()) for name, tensor in before.items())


def test_the_quantized_weights_beside_the_models_own_are_counted() -> None:
    """One block would fit, but not the weights that all blocks leave; in place none are left."""
    model, data = wide(512, 40).to(FAKE), to(seed_loader(512), FAKE)
    sim = simulate(model, data[0])
    text = (
        r"the largest block takes about \d+ MiB in training, the quantized weights beside the model's own 40 "
        r"\(none in a simulation with in_place\); give smaller batches"
    )
    with limited(48 * MIB):
        with pytest.raises(adascale.Error, match=text):
            adascale.apply_adascale(sim, data, num_iterations=1, progress=False)
        options = {"default_param_bw": 4, "default_output_bw": 32, "in_place": True}
        in_place = adascale.QuantizationSimModel(model, data[0], **options)
        training = {"num_iterations": 1, "progress": False, "blocks": ["linear_blocks.0"]}
        assert len(adascale.apply_adascale(in_place, data, **training).blocks) == 1


def test_more_activation_memory_than_there_is_is_refused() -> None:
    model, data = wide().to(FAKE), to(seed_loader(512), FAKE)
    sim, text = simulate(model, data[0]), "device_activation_memory: got 300 MiB, but fake:0 has"
    with limited(256 * MIB), pytest.raises(adascale.Error, match=text):
        adascale.apply_adascale(sim, data, device_activation_memory=300, progress=False)


def test_on_the_cpu_there_is_no_device_memory_to_give() -> None:
    model, data = wide(), seed_loader(512)
    with pytest.raises(adascale.Error, match="device_activation_memory: the device is the CPU"):
        adascale.apply_adascale(simulate(model, data[0]), data, device_activation_memory=1, progress=False)


@pytest.mark.parametrize("pins", [False, True])
@pytest.mark.parametrize("tiers", [(None, 4096), (0, 4096), (0, 0), (1, 1)])
def test_wherever_activations_wait_the_result_is_the_same(tiers: tuple[int | None, int], pins: bool) -> None:
    from adascale import _C

    on_device, on_host = tiers
    model, data = wide(256, 3), seed_loader(256, samples=48, batch=12)
    expected = train(model, data, CPU)
    moved, batches = model.to(FAKE), to(data, FAKE)
    _C.set_traits("fake", runs_ahead=pins, pins_memory=pins)
    try:
        with tensor_operators():
            sim = simulate(moved, batches[0])
            report = adascale.apply_adascale(
                sim, batches, num_iterations=6, progress=False, precision="float32",
                device_activation_memory=on_device, activation_memory=on_host,
            )  # fmt: skip
            assert_same(finished(sim, report, batches[0]), expected)
    finally:
        _C.set_traits("fake")
    assert fake_device.pinned_bytes() == 0, "what was pinned is given back"


class Headed(nn.Module):
    """Logits that the loss alone reads: without room they are computed anew for each comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = ConsecutiveBlocks(64, 2), nn.Linear(64, 512)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.mark.parametrize("tiers", [(None, 4096), (0, 4096), (0, 0)])
def test_wherever_a_heads_logits_wait_the_result_is_the_same(tiers: tuple[int | None, int]) -> None:
    on_device, on_host = tiers
    model, data = Headed().eval(), seed_loader(64, samples=48, batch=12)
    expected = train(model, data, CPU, train_outside=True)
    moved, batches = model.to(FAKE), to(data, FAKE)
    with tensor_operators():
        sim = simulate(moved, batches[0])
        report = adascale.apply_adascale(
            sim, batches, num_iterations=6, progress=False, precision="float32", train_outside=True,
            device_activation_memory=on_device, activation_memory=on_host,
        )  # fmt: skip
        assert len(report.blocks) == 3
        assert_same(finished(sim, report, batches[0]), expected)


@pytest.mark.parametrize("tiers", [(None, 4096), (0, 4096), (0, 0)])
def test_wherever_a_live_models_activations_wait_the_result_is_the_same(
    tiers: tuple[int | None, int],
) -> None:
    on_device, on_host = tiers
    model, data = Branchy().eval(), [torch.randn(600, 8) for _ in range(64)]
    expected = train(model, data, CPU, num_iterations=2)
    # Less than the 9 MiB of all batches in both streams.
    with tensor_operators(), limited(4 * MIB) if on_device == 0 else contextlib.nullcontext():
        sim = simulate(model.to(FAKE), data[0])
        report = adascale.apply_adascale(
            sim, data, num_iterations=2, progress=False, precision="float32",
            device_activation_memory=on_device, activation_memory=on_host,
        )  # fmt: skip
        assert_same(finished(sim, report, data[0]), expected)


def test_nothing_stays_on_the_device_that_was_not_there() -> None:
    model, data = wide().to(FAKE), to(seed_loader(512), FAKE)
    sim = simulate(model, data[0])
    before = fake_device.used_bytes()
    adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
    quantized = sum(p.nbytes for p in model.parameters() if p.dim() > 1)
    assert fake_device.used_bytes() - before <= quantized + MIB, "the dequantized weights alone are new"
