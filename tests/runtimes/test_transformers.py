"""transformers loads our packed folders through compressed-tensors and gives our simulation's logits."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from llama_cpp_logits import perplexity
from small_folders import QUICK, TEXT, llama_folder, write_text
from table import AddRow, Row
from transformers import AutoModelForCausalLM, AutoTokenizer

import adascale

GRIDS: dict[str, dict[str, Any]] = {
    "int4": {"param_bw": 4},
    "int4 groups": {"param_bw": 4, "group_size": 16},
    "int4 asymmetric groups": {"param_bw": 4, "group_size": 16, "symmetric": False},
    "int3": {"param_bw": 3},
    "int2 asymmetric": {"param_bw": 2, "group_size": 16, "symmetric": False},
    "int8": {"param_bw": 8},
    "mixed": {"param_bw": 4, "layer_config": {"*.down_proj": {"param_bw": 8}}},
    "head": {"param_bw": 4, "outside_bw": 8, "layer_config": {"Embedding": {"param_bw": 32}}},
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compressed_tensors_load_with_our_logits(
    grid: str, dtype: torch.dtype, tmp_path: Path, add_row: AddRow
) -> None:
    source, out = llama_folder(tmp_path / "model", dtype=dtype), tmp_path / "out"
    adascale.quantize(
        source, out, [TEXT], formats=["compressed-tensors", "pt2"], packing="packed", **QUICK, **GRIDS[grid]
    )
    ids = torch.tensor([AutoTokenizer.from_pretrained(out)(TEXT)["input_ids"][:16]] * 2)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=dtype).eval()
    with torch.no_grad():
        theirs = model(ids).logits
        ours = torch.export.load(out / "model.pt2").module()(ids).logits
    exact = {torch.float32: 1e-5, torch.bfloat16: 0.04}[dtype]
    torch.testing.assert_close(theirs, ours, rtol=exact, atol=exact)
    if dtype == torch.float32:
        size = (out / "model.safetensors").stat().st_size
        agreement = f"max abs diff {float((theirs - ours).abs().max()):.1e}"
        add_row(
            Row(
                "compressed-tensors", "transformers", f"tiny Llama, {grid}", agreement, f"{size / 1e3:.0f} kB"
            )
        )


DATA = Path(__file__).parents[2] / "bench" / "data"


def test_smollm2(tmp_path: Path, add_row: AddRow) -> None:
    calibration = torch.from_numpy(np.load(DATA / "calib.npy")[:1])
    adascale.quantize(
        DATA / "smollm2",
        tmp_path,
        calibration,
        formats=["compressed-tensors", "pt2"],
        recipe="rtn",
        param_bw=4,
        group_size=64,
        progress=False,
    )
    ids = torch.from_numpy(np.load(DATA / "heldout.npy")[:2])
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()(ids).logits
        ours = torch.export.load(tmp_path / "smollm2.pt2").module()(ids).logits
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-3)
    found = [perplexity([row.numpy() for row in logits], list(ids.numpy())) for logits in (ours, theirs)]
    size = f"{(tmp_path / 'model.safetensors').stat().st_size / 1e6:.0f} MB"
    agreement = "perplexity ours {:.3f}, theirs {:.3f}".format(*found)
    add_row(Row("compressed-tensors", "transformers", "SmolLM2-135M, int4 g64", agreement, size))


@pytest.mark.parametrize("beside", [[], ["pt2"]])
def test_evaluate_runs_the_packed_folder(beside: list[str], tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    adascale.quantize(source, out, [TEXT], formats=["compressed-tensors", *beside], packing="packed", **QUICK)
    data = write_text(tmp_path / "heldout.txt")
    command = [sys.executable, "-m", "adascale", "evaluate", source, out, "--data", data, "--seq-len", "16"]
    done = subprocess.run(
        [*map(str, command), "--packing", "packed", "--runtime", "transformers"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ("simulation" in done.stdout.split("\n\n")[1]) is bool(beside)
    if beside:
        assert re.search(r"transformers from the simulation, \w+: at most 0,", done.stdout), done.stdout
