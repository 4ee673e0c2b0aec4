"""vLLM's own loader takes our packed folders as for a GPU, and gets our simulation's weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from packed_folders import fused_weights, pack
from safetensors.torch import load_file
from vllm_process import run_vllm

CAPABILITIES = [80, 90]  # A100, H100
ASSERTION = "AssertionError"  # of vLLM, without a text
ASYMMETRIC = {"symmetric": False}
HEAD = {"outside_bw": 8, "layer_config": {"Embedding": {"param_bw": 32}}}
MIXED = {"layer_config": {"*.down_proj": {"param_bw": 8}}}
MIXED_WITHIN = {"layer_config": {"*.q_proj": {"param_bw": 8}}}
MIXED_FUSED = {"layer_config": {"*.[qkv]_proj": {"param_bw": 8}}}
KEPT_FUSED = {"layer_config": {"*.[qkv]_proj": {"param_bw": 32}}}


@dataclass(frozen=True)
class Case:
    format: str
    grid: dict[str, Any]
    kernel: str = ""  # on a GPU of capability 8.0; on 9.0 vLLM prefers Humming
    refusal: str = ""  # instead


def compressed(bits: int, kernel: str = "", refusal: str = "", **grid: Any) -> Case:
    return Case("compressed-tensors", {"param_bw": bits, **grid}, kernel, refusal)


def gptq(bits: int, kernel: str = "", refusal: str = "", version: str = "", **grid: Any) -> Case:
    return Case(f"gptq{version}", {"param_bw": bits, **grid}, kernel, refusal)


CASES = {
    "int4": compressed(4, "Marlin"),
    "int4 g128": compressed(4, "Marlin", group_size=128),
    "int4 g16": compressed(4, "Humming", group_size=16),
    "int4 g64 asymmetric": compressed(4, "Marlin", group_size=64, **ASYMMETRIC),
    "int8": compressed(8, "Marlin"),
    "int8 g128 asymmetric": compressed(8, "Humming", group_size=128, **ASYMMETRIC),
    "int5": compressed(5, "Humming"),
    "int3 g128": compressed(3, "Humming", group_size=128),
    "int2 g64 asymmetric": compressed(2, "Humming", group_size=64, **ASYMMETRIC),
    "int4, down_proj 8": compressed(4, "Marlin", **MIXED),
    "int4, qkv 8": compressed(4, "Marlin", **MIXED_FUSED),
    "int4, qkv kept": compressed(4, "Marlin", **KEPT_FUSED),
    "int4, head 8": compressed(4, "Marlin", **HEAD),
    "int4, q_proj 8": compressed(4, refusal=ASSERTION, **MIXED_WITHIN),
    "gptq": gptq(4, "Marlin"),
    "gptq v1 g128": gptq(4, "Marlin", version=":v1", group_size=128),
    "gptq v2 g128": gptq(4, "Marlin", version=":v2", group_size=128),
    "gptq int8": gptq(8, "Marlin", group_size=128),
    "gptq, down_proj 8": gptq(4, "Marlin", group_size=128, **MIXED),
    "gptq, qkv kept": gptq(4, "Marlin", **KEPT_FUSED),
    "gptq, head 8": gptq(4, "Marlin", **HEAD),
    "gptq, qkv 8": gptq(4, "Marlin", **MIXED_FUSED),
    "gptq, q_proj 8": gptq(4, refusal=ASSERTION, **MIXED_WITHIN),
    "gptq int3": gptq(3, refusal="Unsupported quantization config: bits=3, sym=True"),
    "gptq asymmetric": gptq(4, refusal="Unsupported quantization config: bits=4, sym=False", **ASYMMETRIC),
}


@dataclass(frozen=True)
class Loaded:
    folder: Path
    weights: Path
    answer: dict[str, Any]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Loaded]:
    """All in one process, since importing vLLM takes half a minute."""
    root = tmp_path_factory.mktemp("vllm")
    folders = {name: pack(root / str(i), *written(case)) for i, (name, case) in enumerate(CASES.items())}
    keys = [(name, capability) for name in CASES for capability in CAPABILITIES]
    weights = {key: root / f"weights-{i}.safetensors" for i, key in enumerate(keys)}
    jobs = [
        {"folder": str(folders[name]), "capability": capability, "weights": str(weights[name, capability])}
        for name, capability in keys
    ]
    (root / "jobs.json").write_text(json.dumps(jobs))
    answers = json.loads(run_vllm("loader", "load.py", root / "jobs.json").splitlines()[-1])
    return {
        key: Loaded(folders[key[0]], weights[key], answer) for key, answer in zip(keys, answers, strict=True)
    }


def written(case: Case) -> tuple[str, torch.dtype, dict[str, Any]]:
    """gptq's scales are float16, which vLLM casts to the model's dtype."""
    dtype = torch.float16 if case.format.startswith("gptq") else torch.bfloat16
    return case.format, dtype, case.grid


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.refusal])
def test_weights_are_our_simulations(
    name: str, capability: int, loaded: dict[tuple[str, int], Loaded]
) -> None:
    found = loaded[name, capability]
    assert "refusal" not in found.answer, found.answer["refusal"]
    expected, weights = fused_weights(found.folder), load_file(found.weights)
    assert weights.keys() == expected.keys()
    for layer, weight in weights.items():
        assert torch.equal(weight, expected[layer]), layer
    kernels = set(found.answer["kernels"].values())
    assert kernels == {f"{CASES[name].kernel if capability == 80 else 'Humming'}LinearKernel"}


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.refusal])
def test_refusal(name: str, capability: int, loaded: dict[tuple[str, int], Loaded]) -> None:
    answer = loaded[name, capability].answer
    assert CASES[name].refusal in answer.get("refusal", "loaded")
    if CASES[name].refusal == ASSERTION:
        assert answer["refusal"] == f"{ASSERTION}: " and "loader/vllm/model_executor/" in answer["place"]


def test_scales_have_either_sign(loaded: dict[tuple[str, int], Loaded]) -> None:
    tensors = load_file(loaded["int4", 80].folder / "model.safetensors")
    scales = torch.cat([value.flatten() for name, value in tensors.items() if name.endswith("weight_scale")])
    assert scales.min() < 0 < scales.max()
