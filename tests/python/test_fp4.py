"""Grids of 4-bit floats: asked for, trained, shared among siblings, written, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_folders import QUICK, SIZES, llama_folder, save_folder, tiny_llama, write_text
from small_models import ConsecutiveBlocks, seed_loader
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

import adascale
from adascale import _C

pytestmark = pytest.mark.usefixtures("kept_captures")

GROUPS = {"mxfp4": 32, "nvfp4": 16}
MAGNITUDES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def describe(grid: str) -> str:
    return f"{grid} per group of {GROUPS[grid]}"


def simulate(**options: Any) -> adascale.QuantizationSimModel:
    given = {"default_param_bw": 4, "default_output_bw": 32, **options}
    return adascale.QuantizationSimModel(ConsecutiveBlocks(depth=2).eval(), seed_loader()[0], **given)


def assert_on_grid(weight: torch.Tensor, scale: torch.Tensor, group: int) -> None:
    numbers = weight.unflatten(1, (-1, group)) / scale
    distance = (numbers.abs().unsqueeze(-1) - MAGNITUDES).abs().amin(-1)
    assert distance.max() < 1e-5


@pytest.mark.parametrize("grid", GROUPS)
def test_training_beats_rounding_on_samples_it_never_saw(grid: str) -> None:
    sim = simulate(grid=grid)
    report = adascale.apply_adascale(
        sim, seed_loader(), num_iterations=80, held_out_batches=2, progress=False, precision="float32"
    )
    for block in report.blocks:
        assert block.held_out_after < block.held_out_before
        assert all(layer.codes_moved > 0 for layer in block.layers)
        assert {layer.grid for layer in block.layers} == {describe(grid)}
    weights = dict(sim.model.named_parameters())
    for name, (codes, scale, offset) in _C.encodings_of(sim._core).items():
        assert codes.dtype == torch.uint8 and codes.max() < 16 and not offset.any()
        assert_on_grid(weights[name].detach(), scale, GROUPS[grid])


def test_siblings_share_a_float() -> None:
    """q, k and v read one value, o another: the float of NVFP4 comes from the largest weight of each."""
    model = tiny_llama()
    attention = model.model.layers[0].self_attn
    with torch.no_grad():
        attention.k_proj.weight[0, 0] = 5
    sim = adascale.QuantizationSimModel(
        model, {"input_ids": torch.randint(0, 320, (2, 8))}, grid="nvfp4", default_param_bw=4,
        default_output_bw=32, layer_config={"*.down_proj": {"param_bw": 32}, "Embedding": {"param_bw": 32}},
    )  # fmt: skip
    adascale.apply_adascale(sim, [{"input_ids": torch.randint(0, 320, (2, 8))}], recipe="rtn", progress=False)
    prefix = "model.layers.0.self_attn."
    scales = {name: scale for name, (_, scale, _) in _C.encodings_of(sim._core).items()}
    for layer, largest in (("q", 5), ("k", 5), ("v", 5), ("o", attention.o_proj.weight.abs().max().item())):
        block = scales[f"{prefix}{layer}_proj.weight"] / (largest / (6 * 448))
        nearest = block.to(torch.float8_e4m3fn).float()
        assert torch.allclose(block, nearest, rtol=1e-5), layer


@pytest.mark.parametrize("grid", GROUPS)
def test_a_folder_loads_in_transformers(grid: str, tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(**{**SIZES, "intermediate_size": 64})).eval()
    folder, text = save_folder(model, tmp_path / "model"), write_text(tmp_path / "text.txt")
    report = adascale.quantize(folder, tmp_path / "out", text, formats=["hf"], grid=grid, **QUICK)
    assert {layer.grid for block in report.blocks for layer in block.layers} == {describe(grid)}
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    weight = loaded.model.layers[0].mlp.up_proj.weight.detach()
    numbers = weight.unflatten(1, (-1, GROUPS[grid]))
    assert max(group.abs().unique().numel() for row in numbers for group in row) <= 8


def test_a_layer_may_have_another_grid() -> None:
    sim = simulate(grid="mxfp4", layer_config={"linear_blocks.0.*": {"grid": "int", "param_bw": 8}})
    text = str(sim)
    assert text.count("int8 symmetric per channel") == 2 and text.count("mxfp4 per group of 32") == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": "fp4"}, "grid: got 'fp4', expected one of int, mxfp4, nvfp4"),
        ({"default_param_bw": 8}, "and 2 more: param_bw: got 8, but grid mxfp4 has 4 bits; give 4"),
        ({"group_size": 64}, "and 2 more: group_size: got 64, but grid mxfp4 has groups of 32"),
        ({"symmetric": False}, "and 2 more: symmetric: got false, but grid mxfp4 is around zero"),
        ({"layer_config": {"*.fc2": {"symmetric": False}}}, "linear_blocks.1.fc2: symmetric: got false, but"),
        ({"layer_config": {"*.fc2": {"per_channel": False}}}, "fc2: per_channel: got false, but grid mxfp4"),
        ({"group_size": 32, "decompressed_bw": 8}, "decompressed_bw: got 8, but grid mxfp4 has no integer"),
        ({"layer_config": {"*": {"grid": "x"}}}, "grid: got 'x', expected one of int, mxfp4, nvfp4"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(adascale.Error) as refusal:
        simulate(**{"grid": "mxfp4", **options})
    assert said in str(refusal.value)


def test_asymmetric_integers_may_stand_beside_it(tmp_path: Path) -> None:
    """A configuration's default of asymmetry is none of its business either."""
    mixed = {"*.fc2": {"grid": "mxfp4", "symmetric": True}}
    sim = simulate(symmetric=False, layer_config=mixed)
    assert str(sim).count("int4 asymmetric per channel") == 2 and str(sim).count("mxfp4 per group") == 2
    config = tmp_path / "config.json"
    sections = {"params": {}, "op_type": {}, "supergroups": [], "model_input": {}, "model_output": {}}
    params = {"is_quantized": "True", "is_symmetric": "False"}
    config.write_text(json.dumps({"defaults": {"ops": {}, "params": params}, **sections}))
    sim = simulate(grid="nvfp4", config_file=str(config))
    adascale.apply_adascale(sim, seed_loader(), recipe="rtn", progress=False)
    assert str(sim).count("nvfp4 per group of 16") == 4


def test_siblings_are_found_behind_views() -> None:
    class Twins(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.o = (torch.nn.Linear(32, 32, bias=False) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = self.q(x.view(-1, 32)).view(x.shape)
            return self.o(torch.relu(rows * self.k(x.transpose(0, 1).contiguous()).transpose(0, 1)))

    model = Twins().eval()
    with torch.no_grad():
        model.k.weight[0, 0] = 5
    sim = adascale.QuantizationSimModel(
        model, torch.rand(2, 3, 32), grid="nvfp4", default_param_bw=4, default_output_bw=32
    )
    adascale.apply_adascale(sim, [torch.rand(2, 3, 32)], recipe="rtn", progress=False)
    scales = {name: scale for name, (_, scale, _) in _C.encodings_of(sim._core).items()}
    for name, largest in (("q", 5), ("k", 5), ("o", model.o.weight.abs().max().item())):
        block = scales[f"{name}.weight"] / (largest / (6 * 448))
        assert torch.allclose(block, block.to(torch.float8_e4m3fn).float(), rtol=1e-5), name


def test_rows_of_other_lengths_are_refused_by_name() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(48, 8), torch.nn.ReLU()).eval()
    with pytest.raises(adascale.Error) as refusal:
        adascale.QuantizationSimModel(model, torch.rand(2, 48), grid="mxfp4", default_param_bw=4)
    assert str(refusal.value) == (
        "0: in_features 48 is not a multiple of 32, the group of mxfp4; give the layer another grid, or "
        "exclude it (layer_config: param_bw 32)"
    )


@pytest.mark.parametrize(
    ("format_name", "said"),
    [
        ("encodings", "its grid, mxfp4 per group of 32, has no place in the file"),
        ("compressed-tensors", "more: is mxfp4 per group of 32, which it has no place for; use grid='int'"),
        ("gguf", "k_proj and 10 more: no grid of mxfp4 is written to a GGUF; use grid='int'"),
    ],
)
def test_a_file_that_holds_integers_refuses_it(format_name: str, said: str, tmp_path: Path) -> None:
    folder, text = llama_folder(tmp_path / "model"), write_text(tmp_path / "text.txt")
    layers = {"*.down_proj": {"param_bw": 32}}
    with pytest.raises(adascale.Error) as refusal:
        adascale.quantize(
            folder, tmp_path / "out", text, formats=[format_name], grid="mxfp4", layer_config=layers, **QUICK
        )
    assert said in str(refusal.value)
