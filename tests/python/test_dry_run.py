"""`--dry-run`: weights are known by shape alone, whatever is to be written; the time is an estimate."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from adascale.doors import python_doors
from adascale.runtimes import python_runtimes
from small_folders import TEXT, save_folder, write_text
from transformers import LlamaConfig, LlamaForCausalLM

from adascale import _C

pytestmark = pytest.mark.usefixtures("kept_captures")

GROUPS = ("--group-size", "32")
WITH_ONNX = importlib.util.find_spec("onnxscript") is not None
CASES: dict[str, tuple[str, ...]] = {
    "hf": (),
    "pt2": ("--output-bw", "8"),
    "safetensors": ("--grid", "nvfp4"),
    "encodings": (*GROUPS, "--decompressed-bw", "8"),
    "compressed-tensors": (*GROUPS, "--no-symmetric"),
    "gptq": GROUPS,
    "gguf": (),
    "gguf:Q4_K": ("--recipe", "aimet"),
}
if WITH_ONNX:  # the environment of scripts/runtimes
    CASES |= {"onnx": (), "onnx-float": (), "onnx-matmulnbits": GROUPS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose weights hold NaN: who reads them refuses them."""
    sizes: dict[str, Any] = {"vocab_size": 320, "hidden_size": 256, "intermediate_size": 512}
    config = LlamaConfig(**sizes, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.down_proj.weight[0, 0] = torch.nan
    return save_folder(model, tmp_path_factory.mktemp("llama"))


def quantize(folder: Path, place: Path, *more: str) -> int:
    data = write_text(place / "data.txt", TEXT)
    line = ["quantize", str(folder), "--data", str(data), "--output-dir", str(place / "out")]
    sizes = ["--samples", "4", "--seq-len", "16", "--batch-size", "2"]
    return _C.run_command([*line, *sizes, *more], python_doors(), python_runtimes())


@pytest.mark.parametrize("case", CASES)
def test_no_format_needs_the_weights(
    case: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert quantize(folder, tmp_path, "--format", case, *CASES[case], "--dry-run") == 0
    said = capfd.readouterr().out
    assert " in all blocks, an estimate: " in said and "files     " in said
    assert list(tmp_path.iterdir()) == [tmp_path / "data.txt"]


def test_the_run_itself_reads_them(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert quantize(folder, tmp_path, "--recipe", "rtn") == 2
    both = "model.layers.0.mlp.down_proj, model.layers.1.mlp.down_proj: the weight holds NaN or infinity"
    assert both in capfd.readouterr().err


def test_inspect_reads_none(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _C.run_command(["inspect", str(folder)], python_doors(), python_runtimes()) == 0
    assert "model.layers.1.mlp.down_proj" in capfd.readouterr().out


def test_a_plan_says_what_it_replaces(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    note = f"note      replaces the result of an earlier run in {tmp_path / 'out'}\n"
    assert quantize(folder, tmp_path, "--dry-run") == 0 and note not in capfd.readouterr().out
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").touch()
    assert quantize(folder, tmp_path, "--dry-run") == 0 and note in capfd.readouterr().out


def test_a_plan_says_that_the_text_is_short(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_text(tmp_path / "short.txt", TEXT)
    line = ["quantize", str(folder), "--data", str(data), "--output-dir", str(tmp_path / "out"), "--dry-run"]
    sizes = ["--seq-len", "256", "--batch-size", "16"]
    assert _C.run_command([*line, *sizes], python_doors(), python_runtimes()) == 0
    said = capfd.readouterr().out
    assert "short.txt: 12 samples, 1 batch of 12\n" in said
    assert "note      the texts give 12 of the 128 samples that are taken by default\n" in said
