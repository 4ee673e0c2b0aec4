"""Devices that are missing, models on two devices, simulations asked to move."""

from __future__ import annotations

import copy
from pathlib import Path

import fake_device  # noqa: F401
import pytest
import torch
from both_sides import command
from live_models import Branchy, branchy_data
from pairs import FAKE
from small_folders import llama_folder, write_text
from small_models import ConsecutiveBlocks, seed_loader
from torch import nn

import adascale

PRESENT = "expected auto or one of cpu, fake:0"


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "fake:1", "gpu", "xpu"])
def test_an_absent_device_is_one_line_with_those_present(
    device: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    expected = f"device: got '{device}', {PRESENT}"
    with pytest.raises(adascale.Error, match=expected):
        adascale.QuantizationSimModel(nn.Linear(4, 4), torch.rand(2, 4), device=device)
    folder, text = llama_folder(tmp_path / "llama"), write_text(tmp_path / "text.txt")
    with pytest.raises(adascale.Error, match=expected):
        adascale.quantize(folder, tmp_path / "out", text, device=device, progress=False)
    for line in (
        [
            "quantize",
            str(folder),
            "--data",
            str(text),
            "--output-dir",
            str(tmp_path / "out"),
            "--device",
            device,
        ],
        ["evaluate", str(folder), str(folder), "--data", str(text), "--device", device],
    ):
        assert command(line) == 2
        assert f"adascale: error: --{expected}" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_on_two_devices_is_refused_by_name() -> None:
    model = ConsecutiveBlocks(depth=2).eval()
    model.linear_blocks[1].to(FAKE)
    with pytest.raises(adascale.Error) as refusal:
        adascale.QuantizationSimModel(model, seed_loader()[0])
    assert str(refusal.value) == (
        "model: linear_blocks.0.fc1.weight is on cpu, linear_blocks.1.fc1.weight on fake:0: expected a model "
        "on one device; move it with model.to(...)"
    )


def test_a_simulation_stays_and_says_what_moves_it() -> None:
    sim = adascale.QuantizationSimModel(ConsecutiveBlocks(depth=2).eval(), seed_loader()[0])
    with pytest.raises(adascale.Error, match="convert the model first, then simulate it, or give device to"):
        sim.model.to(FAKE)
    assert sim.model.to("cpu") is sim.model


def test_a_live_model_runs_where_it_is() -> None:
    model = Branchy().eval()
    with pytest.raises(adascale.Error, match="runs where it is, on cpu; leave it out, or move the model"):
        adascale.QuantizationSimModel(model, branchy_data(1)[0], device="fake")
    live = adascale.QuantizationSimModel(copy.deepcopy(model).to(FAKE), branchy_data(1)[0], device="fake")
    assert live.device == FAKE
    with pytest.raises(adascale.Error, match="convert the model first, or move it"):
        live.model.to("cpu")


def test_data_of_another_dtype_is_refused_on_a_device_too() -> None:
    model = ConsecutiveBlocks(depth=2).eval().to(FAKE)
    sim = adascale.QuantizationSimModel(model, seed_loader()[0])
    with pytest.raises(adascale.Error, match="got dtype Double, expected Float"):
        sim.model(seed_loader()[0].double())


def test_a_model_without_numbers_is_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()
    expected = "0.weight is on meta and holds no numbers; load the model's weights first"
    with pytest.raises(adascale.Error) as refusal:
        adascale.QuantizationSimModel(model, torch.rand(2, 4))
    assert str(refusal.value) == expected
