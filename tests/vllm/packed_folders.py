"""A small Llama as packed folders, and the weights that a runtime should find in them."""

from pathlib import Path
from typing import Any

import torch
from small_folders import QUICK, SIZES, TEXT, save_folder
from transformers import LlamaConfig, LlamaForCausalLM

import adascale

# Sizes that vLLM's kernels take.
WIDER = SIZES | {"hidden_size": 256, "intermediate_size": 512, "initializer_range": 0.06}
FUSED = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}


def pack(root: Path, format: str, dtype: torch.dtype, grid: dict[str, Any]) -> Path:
    """The packed folder, with our simulation in model.pt2."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**WIDER)).to(dtype).eval()
    source, out = save_folder(model, root / "model"), root / "out"
    adascale.quantize(source, out, [TEXT], formats=[format, "pt2"], packing="packed", **QUICK, **grid)
    return out


def simulation(folder: Path) -> torch.export.ExportedProgram:
    return torch.export.load(folder / "model.pt2")


def fused_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The simulation's, with the layers in one that vLLM makes one."""
    weights = {name: value.detach() for name, value in simulation(folder).state_dict.items()}
    for fused, parts in FUSED.items():
        for name in [name for name in weights if f".{parts[0]}." in name]:
            names = [name.replace(parts[0], part) for part in parts]
            weights[name.replace(parts[0], fused)] = torch.cat([weights.pop(part) for part in names])
    return weights
