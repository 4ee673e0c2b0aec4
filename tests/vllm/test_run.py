"""vLLM's engine on a CPU, whose kernels take 4 bits, gives our simulation's logits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from packed_folders import pack, simulation
from safetensors.torch import load_file
from vllm_process import run_vllm

TOKENS = list(range(2, 34))
# Format, dtype and grid, and the error that the dtype's rounding makes.
CASES: dict[str, tuple[str, torch.dtype, dict[str, Any], float]] = {
    "int4": ("compressed-tensors", torch.bfloat16, {}, 0.08),
    "int4 g128": ("compressed-tensors", torch.bfloat16, {"group_size": 128}, 0.08),
    "int4 g64 asymmetric": (
        "compressed-tensors",
        torch.bfloat16,
        {"group_size": 64, "symmetric": False},
        0.08,
    ),
    "gptq v1": ("gptq:v1", torch.float16, {"group_size": 128}, 0.01),
    "gptq v2": ("gptq:v2", torch.float16, {"group_size": 128}, 0.01),
}


@pytest.mark.parametrize("name", CASES)
def test_log_probabilities(name: str, tmp_path: Path) -> None:
    format, dtype, grid, error = CASES[name]
    folder, out = pack(tmp_path, format, dtype, {"param_bw": 4, **grid}), tmp_path / "out.safetensors"
    run_vllm("cpu", "run.py", folder, str(dtype).split(".")[1], ",".join(map(str, TOKENS)), out)
    theirs = load_file(out)["log_probabilities"]
    with torch.no_grad():
        logits = simulation(folder).module()(torch.tensor([TOKENS])).logits[0]
    torch.testing.assert_close(theirs, logits.float().log_softmax(-1), rtol=0, atol=error)
