"""auto-round's CPU kernels unpack our GPTQ folders to the simulation's weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from auto_round_extension.torch import qlinear_torch, qlinear_torch_zp
from safetensors.torch import load_file
from small_folders import QUICK, SIZES, TEXT, save_folder
from table import AddRow, Row
from transformers import LlamaConfig, LlamaForCausalLM

import adascale

GRIDS: dict[str, dict[str, Any]] = {
    "int4": {"param_bw": 4},
    "int4 groups": {"param_bw": 4, "group_size": 32},
    "int4 asymmetric groups": {"param_bw": 4, "group_size": 32, "symmetric": False},
    "int3 groups": {"param_bw": 3, "group_size": 32},
    "int2 asymmetric": {"param_bw": 2, "group_size": 32, "symmetric": False},
    "int8": {"param_bw": 8},
}


def dequantized(tensors: dict[str, torch.Tensor], name: str, config: dict[str, Any]) -> torch.Tensor:
    # The first kind of checkpoint stores zero points minus one; the module "zp" reads it.
    kernels = qlinear_torch_zp if config["checkpoint_format"] == "gptq" else qlinear_torch
    columns, rows = tensors[f"{name}.g_idx"].numel(), tensors[f"{name}.scales"].shape[1]
    size = columns if config["group_size"] == -1 else config["group_size"]
    layer = kernels.QuantLinear(config["bits"], size, columns, rows, bias=False)
    for part in ("qweight", "qzeros", "scales"):
        setattr(layer, part, tensors[f"{name}.{part}"])
    layer.scales = layer.scales.float()
    return layer(torch.eye(columns)).t()


# v1 holds no zero point 0, which an asymmetric grid may need.
CASES = [("gptq:v2", grid) for grid in GRIDS]
CASES += [("gptq:v1", grid) for grid, options in GRIDS.items() if options.get("symmetric", True)]


@pytest.mark.parametrize(("target", "grid"), CASES)
def test_its_kernels_give_our_weights(target: str, grid: str, tmp_path: Path, add_row: AddRow) -> None:
    sizes = {**SIZES, "hidden_size": 64, "intermediate_size": 96}
    source = save_folder(LlamaForCausalLM(LlamaConfig(**sizes)).eval(), tmp_path / "model")
    out = tmp_path / "out"
    adascale.quantize(source, out, [TEXT], formats=[target, "pt2"], packing="packed", **QUICK, **GRIDS[grid])
    tensors = load_file(out / "model.safetensors")
    config = json.loads((out / "quantize_config.json").read_text())
    ours = dict(torch.export.load(out / "model.pt2").state_dict)
    names = [name.removesuffix(".weight") for name in ours if "_proj" in name]
    assert len(names) == 14
    for name in names:
        assert torch.equal(dequantized(tensors, name, config), ours[f"{name}.weight"]), name
    size = f"{(out / 'model.safetensors').stat().st_size / 1e3:.0f} kB"
    add_row(Row(target, "auto-round", f"tiny Llama, {grid}", "weights equal", size))
