"""Every export format of a model on a GPU against the CPU's files, and the command."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from both_sides import (
    CPU,
    ENCODINGS,
    PACKED,
    assert_same_default_export,
    assert_same_encodings_files,
    assert_same_files,
    command,
    save_data,
    save_program,
)
from sides import simulate
from small_models import ConsecutiveBlocks, seed_loader

import adascale

small_folders = pytest.importorskip("small_folders")  # needs transformers and tokenizers
QUICK = small_folders.QUICK

# Without sums, the same arithmetic on both sides gives the same codes.
ROUND_TO_NEAREST = {name: value for name, value in QUICK.items() if name != "iterations"} | {"recipe": "rtn"}


@pytest.fixture(scope="module")
def sims(device: torch.device, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The encodings of one trained model, loaded on the CPU and on the device: the same codes."""
    torch.manual_seed(0)
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    trained = simulate(model, data[0], default_output_bw=8)
    adascale.apply_adascale(trained, data, num_iterations=4, progress=False)
    trained.compute_encodings(lambda model: [model(x) for x in data])
    file = trained.export(tmp_path_factory.mktemp("encodings"), "q", formats=["encodings"])[-1]
    loaded = {}
    for name, where in (("cpu", CPU), ("device", device)):
        loaded[name] = simulate(copy.deepcopy(model).to(where), data[0], default_output_bw=8)
        assert loaded[name].load_encodings(file) == []
    return loaded


@pytest.mark.parametrize("version", ENCODINGS)
def test_encodings(sims: dict[str, Any], tmp_path: Path, version: str) -> None:
    assert_same_encodings_files(sims["cpu"], sims["device"], tmp_path, version)


def test_default_export(sims: dict[str, Any], tmp_path: Path) -> None:
    assert_same_default_export(sims["cpu"], sims["device"], tmp_path)


@pytest.mark.parametrize("name", PACKED)
def test_a_folder_quantized_on_a_device(device: torch.device, name: str, tmp_path: Path) -> None:
    if name.startswith("gguf"):
        pytest.importorskip("gguf")
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}  # superblocks of 256
    llama = LlamaForCausalLM(LlamaConfig(**small_folders.SIZES | sizes)).eval()
    folder = small_folders.save_folder(llama, tmp_path / "llama")
    text = small_folders.write_text(tmp_path / "text.txt")
    for where in ("cpu", device.type):
        options = {**ROUND_TO_NEAREST, **PACKED[name], "device": where}
        adascale.quantize(folder, tmp_path / where, text, formats=[name], **options)
    assert_same_files(tmp_path / device.type, tmp_path / "cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_trained_folder_loads(device: torch.device, dtype: torch.dtype, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = small_folders.llama_folder(tmp_path / "llama", dtype)
    text = small_folders.write_text(tmp_path / "text.txt")
    logits, ids = [], torch.randint(0, 320, (2, 16))
    for where in ("cpu", device.type):
        report = adascale.quantize(folder, tmp_path / where, text, device=where, **QUICK)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / where, dtype="auto")
        assert model.dtype == dtype
        logits.append(model(ids).logits.float())
    assert report.device == str(device)
    assert (logits[0] - logits[1]).norm() < 0.1 * logits[0].norm()


def test_a_transformers_model_that_is_on_the_device(device: torch.device, tmp_path: Path) -> None:
    model = small_folders.tiny_llama()
    for where in (CPU, device):
        report = adascale.quantize(
            copy.deepcopy(model).to(where), tmp_path / where.type, ["the quick brown fox"] * 40,
            tokenizer=small_folders.tiny_tokenizer(), **ROUND_TO_NEAREST,
        )  # fmt: skip
        assert report.device == str(where)
    assert_same_files(tmp_path / device.type, tmp_path / "cpu")


def test_the_command(device: torch.device, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = small_folders.llama_folder(tmp_path / "llama")
    text = small_folders.write_text(tmp_path / "text.txt")
    rows = ["--data", str(text), "--samples", "4", "--seq-len", "16", "--device"]
    out = str(tmp_path / "out")
    line = ["quantize", str(folder), *rows, device.type, "--iterations", "2", "--output-dir", out]
    assert command(line) == 0
    said = capfd.readouterr().out
    assert f"device    {device}, bfloat16 up to 4 bits, the rest TF32" in said
    assert " beside a block of about " in said
    assert command(["evaluate", str(folder), out, *rows, device.type]) == 0
    on_device = numbers_in(capfd.readouterr().out)
    assert command(["evaluate", str(folder), out, *rows, "cpu"]) == 0
    assert on_device == pytest.approx(numbers_in(capfd.readouterr().out), rel=0.02, abs=2e-3)


def numbers_in(text: str) -> list[float]:
    words = (word.rstrip("%,").replace(",", "") for word in text.split())
    return [float(word) for word in words if word.replace(".", "", 1).isdigit()]


def test_a_program_file(device: torch.device, tmp_path: Path) -> None:
    """Quantized on the device, it runs on the CPU, and the command evaluates it on either."""
    program, data = save_program(tmp_path / "model.pt2"), save_data(tmp_path / "x.safetensors")
    out = tmp_path / "out"
    line = ["quantize", str(program), "--data", str(data), "--output-dir", str(out), "--iterations", "3"]
    assert command([*line, "--device", device.type]) == 0
    for where in ("cpu", device.type):
        assert command(["evaluate", str(program), str(out), "--data", str(data), "--device", where]) == 0
    assert torch.export.load(out / "model.pt2").module()(seed_loader()[0]).isfinite().all()


def test_the_command_without_python(device: torch.device, tmp_path: Path) -> None:
    """It loads torch's CUDA library itself. Only Python has the fake device: there it runs on the CPU."""
    program, data = save_program(tmp_path / "model.pt2"), save_data(tmp_path / "x.safetensors")
    binary = Path(adascale.cmake_prefix_path) / "bin" / "adascale"
    name, full_name = ("cuda", "cuda:0") if device.type == "cuda" else ("cpu", "cpu")
    line = [binary, "quantize", program, "--data", data, "--output-dir", tmp_path / "out", "--device", name]
    done = subprocess.run([*line, "--iterations", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"device    {full_name}, " in done.stdout
    assert torch.export.load(tmp_path / "out" / "model.pt2").module()(seed_loader()[0]).isfinite().all()
    if name == "cuda":
        absent = subprocess.run([*line[:-1], "cuda:99"], capture_output=True, text=True)
        assert absent.returncode == 2
        assert "--device: got 'cuda:99', expected auto or one of cpu, cuda:0" in absent.stderr
