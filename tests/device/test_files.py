"""Every export format of a model on a device, against the files of the same model on the CPU."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import fake_device
import pytest
import torch
from both_sides import (
    CPU,
    ENCODINGS,
    PACKED,
    ReadsItsDevice,
    assert_same_default_export,
    assert_same_encodings_files,
    assert_same_files,
    command,
    save_data,
    save_program,
    to,
)
from full import first
from pairs import FAKE, tensor_operators
from small_folders import QUICK, SIZES, llama_folder, save_folder, tiny_llama, tiny_tokenizer, write_text
from small_models import ConsecutiveBlocks, seed_loader
from transformers import LlamaConfig, LlamaForCausalLM

import adascale
from adascale import _C


def quantized(device: torch.device, output_bw: int = 8) -> Any:
    torch.manual_seed(0)
    model, data = ConsecutiveBlocks(depth=2).eval().to(device), to(seed_loader(), device)
    sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=output_bw)
    adascale.apply_adascale(sim, data, num_iterations=4, progress=False, precision="float32")
    sim.compute_encodings(lambda model: [model(x) for x in data])
    return sim


@pytest.fixture(scope="module")
def sims() -> dict[str, Any]:
    with tensor_operators():
        return {device.type: quantized(device) for device in (CPU, FAKE)}


@pytest.mark.parametrize("version", ENCODINGS)
def test_encodings(sims: dict[str, Any], tmp_path: Path, version: str) -> None:
    assert_same_encodings_files(sims["cpu"], sims["fake"], tmp_path, version)


def test_default_export(sims: dict[str, Any], tmp_path: Path) -> None:
    x, on_cpu = assert_same_default_export(sims["cpu"], sims["fake"], tmp_path)
    assert torch.equal(on_cpu, sims["fake"].model(x).cpu())


@pytest.mark.parametrize("name", first(5, PACKED))
def test_a_folder_quantized_on_a_device(name: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}  # superblocks of 256
    llama = LlamaForCausalLM(LlamaConfig(**SIZES | sizes)).eval()
    folder, text = save_folder(llama, tmp_path / "llama"), write_text(tmp_path / "text.txt")
    options = {**QUICK, **PACKED[name], "precision": "float32"}
    with tensor_operators():
        for device in ("cpu", "fake"):
            adascale.quantize(folder, tmp_path / device, text, formats=[name], device=device, **options)
    assert_same_files(tmp_path / "fake", tmp_path / "cpu")


def test_a_transformers_model_that_is_on_the_device(tmp_path: Path) -> None:
    model = tiny_llama()
    with tensor_operators():
        for device in (CPU, FAKE):
            report = adascale.quantize(
                copy.deepcopy(model).to(device), tmp_path / device.type, ["the quick brown fox"] * 40,
                tokenizer=tiny_tokenizer(), precision="float32", **QUICK,
            )  # fmt: skip
            assert report.device == str(device)
    assert_same_files(tmp_path / "fake", tmp_path / "cpu")


def test_data_in_memory_may_be_on_any_device(tmp_path: Path) -> None:
    model = ConsecutiveBlocks(depth=2).eval()
    options = {"iterations": 2, "progress": False, "precision": "float32", "formats": ["safetensors"]}
    here = seed_loader()
    mixed = [x.to(FAKE) if i % 2 else x for i, x in enumerate(here)]
    with tensor_operators():
        for name, device, data in (("cpu", CPU, here), ("fake", FAKE, mixed)):
            adascale.quantize(copy.deepcopy(model).to(device), tmp_path / name, data, **options)
    assert_same_files(tmp_path / "fake", tmp_path / "cpu")


def test_the_command_takes_a_device(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, text = llama_folder(tmp_path / "llama"), write_text(tmp_path / "text.txt")
    rows = ["--data", str(text), "--samples", "4", "--seq-len", "16", "--device", "fake"]
    out = str(tmp_path / "out")
    assert command(["quantize", str(folder), *rows, "--iterations", "2", "--output-dir", out]) == 0
    assert "device    fake:0, float32" in capfd.readouterr().out
    assert command(["evaluate", str(folder), out, *rows]) == 0
    on_device = capfd.readouterr().out
    assert command(["evaluate", str(folder), out, *rows[:-1], "cpu"]) == 0
    assert capfd.readouterr().out.split() == on_device.split()


def test_the_plan_says_that_a_device_does_not_tell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program, data = save_program(tmp_path / "model.pt2"), save_data(tmp_path / "x.safetensors")
    line = ["quantize", str(program), "--data", str(data), "--output-dir", str(tmp_path / "out")]
    text = "up to 0 B stay there, since it does not say what is free (--device-activation-memory)"
    with fake_device.unknown_memory():
        assert command([*line, "--device", "fake", "--dry-run"]) == 0
        assert text in capfd.readouterr().out
    assert command([*line, "--device", "fake", "--dry-run"]) == 0
    assert text not in capfd.readouterr().out


def test_a_program_file_runs_on_the_device_that_is_asked_for(tmp_path: Path) -> None:
    """Made on a device, it is for the CPU; quantized again on either, the weights are the same."""
    from safetensors.torch import load_file

    path, data = save_program(tmp_path / "model.pt2"), save_data(tmp_path / "x.safetensors")
    weights = {}
    with tensor_operators():
        for device in ("cpu", "fake"):
            out = tmp_path / device
            line = ["quantize", str(path), "--data", str(data), "--output-dir", str(out), "--device", device]
            assert command([*line, "--iterations", "3", "--precision", "float32"]) == 0
            weights[device] = load_file(out / "model.safetensors")
            assert command(["evaluate", str(path), str(out), "--data", str(data), "--device", device]) == 0
    assert all(torch.equal(weights["cpu"][name], weights["fake"][name]) for name in weights["cpu"])
    sim = adascale.QuantizationSimModel(
        ReadsItsDevice().eval().to(FAKE), seed_loader()[0].to(FAKE), default_param_bw=4, default_output_bw=32
    )
    (saved,) = sim.export(tmp_path, "again", formats=["pt2"])
    assert "fake:" not in str(torch.export.load(saved).graph)
    assert _C.present_devices() == ["cpu", "fake:0"] or torch.cuda.is_available()
