"""Every export format of a model on a device, against the files of the same model on the CPU."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import fake_device  # noqa: F401
import pytest
import torch
from pairs import CPU, FAKE, command, tensor_operators, to
from small_folders import QUICK, SIZES, llama_folder, save_folder, tiny_llama, tiny_tokenizer, write_text
from small_models import ConsecutiveBlocks, seed_loader
from transformers import LlamaConfig, LlamaForCausalLM

import adascale
from adascale import _C

ENCODINGS = ("0.6.1", "1.0.0", "2.0.0", "2.1.0")
PACKED: dict[str, dict[str, Any]] = {
    "hf": {},
    "compressed-tensors": {"group_size": 16},
    "gptq": {"group_size": 16},
    "gguf": {"group_size": 32},
    "gguf:Q4_K": {},
    "gguf:Q4_1": {},
    "gguf:Q8_0": {"param_bw": 8},
}


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
    texts = {}
    for name, sim in sims.items():
        files = sim.export(tmp_path / name, "q", formats=["encodings"], encoding_version=version)
        texts[name] = [json.loads(Path(file).read_text()) for file in files]
    assert texts["cpu"] == texts["fake"]


def test_default_export(sims: dict[str, Any], tmp_path: Path) -> None:
    """pt2, safetensors and encodings."""
    from safetensors.torch import load_file

    paths = {name: sim.export(tmp_path / name, "q") for name, sim in sims.items()}
    files = {name: {Path(path).name: path for path in found} for name, found in paths.items()}
    tensors = {name: load_file(found["q.safetensors"]) for name, found in files.items()}
    assert all(torch.equal(tensors["cpu"][name], tensors["fake"][name]) for name in tensors["cpu"])
    x = seed_loader()[0]
    program = torch.export.load(files["fake"]["q.pt2"])
    assert "fake:" not in str(program.graph)
    on_cpu = program.module()(x)
    assert torch.equal(on_cpu, torch.export.load(files["cpu"]["q.pt2"]).module()(x))
    assert torch.equal(on_cpu, sims["fake"].model(x).cpu())


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".json"}


@pytest.mark.parametrize("name", PACKED)
def test_a_folder_quantized_on_a_device(name: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}  # superblocks of 256
    llama = LlamaForCausalLM(LlamaConfig(**SIZES | sizes)).eval()
    folder, text = save_folder(llama, tmp_path / "llama"), write_text(tmp_path / "text.txt")
    options = {**QUICK, **PACKED[name], "precision": "float32"}
    with tensor_operators():
        for device in ("cpu", "fake"):
            adascale.quantize(folder, tmp_path / device, text, formats=[name], device=device, **options)
    assert bytes_in(tmp_path / "cpu") == bytes_in(tmp_path / "fake")


def test_a_transformers_model_that_is_on_the_device(tmp_path: Path) -> None:
    model = tiny_llama()
    with tensor_operators():
        for device in (CPU, FAKE):
            report = adascale.quantize(
                copy.deepcopy(model).to(device), tmp_path / device.type, ["the quick brown fox"] * 40,
                tokenizer=tiny_tokenizer(), precision="float32", **QUICK,
            )  # fmt: skip
            assert report.device == str(device)
    assert bytes_in(tmp_path / "cpu") == bytes_in(tmp_path / "fake")


def test_data_in_memory_may_be_on_any_device(tmp_path: Path) -> None:
    model = ConsecutiveBlocks(depth=2).eval()
    options = {"iterations": 2, "progress": False, "precision": "float32", "formats": ["safetensors"]}
    here = seed_loader()
    mixed = [x.to(FAKE) if i % 2 else x for i, x in enumerate(here)]
    with tensor_operators():
        for name, device, data in (("cpu", CPU, here), ("fake", FAKE, mixed)):
            adascale.quantize(copy.deepcopy(model).to(device), tmp_path / name, data, **options)
    assert bytes_in(tmp_path / "cpu") == bytes_in(tmp_path / "fake")


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


def test_a_program_file_runs_on_the_device_that_is_asked_for(tmp_path: Path) -> None:
    """Made on a device, it holds the CPU; quantized again on either, the weights are the same."""
    from safetensors.torch import load_file, save_file

    class WithDevice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = ConsecutiveBlocks(depth=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x + torch.arange(x.shape[-1], device=x.device) / 64)

    model = WithDevice().eval()
    path, data = tmp_path / "model.pt2", tmp_path / "x.safetensors"
    save_file({"x": torch.cat(seed_loader())}, data)
    example = (seed_loader()[0].to(FAKE),)
    shapes = ({0: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(model, (example[0].cpu(),), dynamic_shapes=shapes), path)
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
        copy.deepcopy(model).to(FAKE), example[0], default_param_bw=4, default_output_bw=32
    )
    (saved,) = sim.export(tmp_path, "again", formats=["pt2"])
    assert "fake:" not in str(torch.export.load(saved).graph)
    assert _C.present_devices() == ["cpu", "fake:0"] or torch.cuda.is_available()
