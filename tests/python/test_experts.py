"""Mixtures of experts: captured as products of groups of tokens, quantized and trained like other layers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from full import first
from safetensors.torch import load_file
from small_folders import QUICK, SIZES, TEXT, save_folder
from transformers import MixtralConfig, MixtralForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM

import adascale


def mixtral() -> Any:
    return MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=4))


def qwen2_moe() -> Any:
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    return Qwen2MoeForCausalLM(Qwen2MoeConfig(**SIZES, **experts, shared_expert_intermediate_size=24))


MODELS = {"Mixtral": mixtral, "Qwen2-MoE": qwen2_moe}
# transformers exports its own operator in float32, torch's in bfloat16. Bounds are shares of the
# largest logit.
BOUNDS = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
by_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
by_dtype = pytest.mark.parametrize("dtype", first(1, BOUNDS), ids=str)


def tokens(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(7)
    return [{"input_ids": torch.randint(0, 320, (2, 16), generator=generator)} for _ in range(count)]


def made(make: Callable[[], Any], dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    model = make().to(dtype).eval()
    model.config.use_cache = False
    return model


@by_dtype
@by_model
def test_grouped_products_give_what_batched_ones_give(make: Callable[[], Any], dtype: torch.dtype) -> None:
    model, (batch,) = made(make, dtype), tokens(1)
    assert model.config._experts_implementation == "grouped_mm"
    sim = adascale.QuantizationSimModel(
        model,
        dummy_input=batch,
        default_param_bw=8,
        default_output_bw=32,
        layer_config={"*": {"param_bw": 32}},
    )
    model.set_experts_implementation("batched_mm")
    with torch.no_grad():
        expected, ours = model(**batch).logits, sim.model(**batch).logits
    assert ours.dtype == expected.dtype
    assert (ours - expected).abs().max() <= BOUNDS[dtype] * expected.abs().max()


@by_model
def test_experts_are_trained(make: Callable[[], Any]) -> None:
    data = tokens(6)
    sim = adascale.QuantizationSimModel(
        made(make), dummy_input=data[0], default_param_bw=2, default_output_bw=32
    )
    report = adascale.apply_adascale(sim, data, num_iterations=60, lr_scale=0.3, progress=False)
    assert len(report.blocks) == 2
    for block in report.blocks:
        experts = [layer for layer in block.layers if ".experts." in layer.name]
        assert len(experts) == 2 and all(layer.codes_moved > 0 for layer in experts)
        assert block.loss_after < block.loss_before


@pytest.mark.parametrize("dtype", first(1, reversed(BOUNDS)), ids=str)
@by_model
def test_a_folder_s_experts_are_stored_on_their_grids(
    make: Callable[[], Any], dtype: torch.dtype, tmp_path: Path
) -> None:
    source, out = save_folder(made(make, dtype), tmp_path / "model"), tmp_path / "out"
    adascale.quantize(source, out, [TEXT], output_bw=8, **QUICK)
    before, after = load_file(source / "model.safetensors"), load_file(out / "model.safetensors")
    experts = [name for name in after if ".experts." in name]
    assert len(experts) == 2 * 4 * 3  # two layers of four experts of gate, up and down
    for name in experts:
        assert after[name].dtype == dtype and not torch.equal(after[name], before[name])
        assert all(len(row.unique()) <= 16 for row in after[name])
    values = json.loads((out / "model_torch.encodings").read_text())["activation_encodings"]
    assert values and not [name for name in values if "histc" in name], "counts of tokens are rounded"


@by_dtype
def test_onnx_gets_a_program_without_groups(dtype: torch.dtype) -> None:
    from adascale.formats.onnx_capture import _without_groups

    model, (batch,) = made(mixtral, dtype), tokens(1)
    program = torch.export.export(model, (), batch, strict=False)
    plain = _without_groups(program)
    assert "grouped_mm" in str(program.graph) and "grouped_mm" not in str(plain.graph)
    expected, ours = program.module()(**batch).logits, plain.module()(**batch).logits
    assert (ours - expected).abs().max() <= BOUNDS[dtype] * expected.abs().max()


def test_bfloat16_experts_of_any_width(tmp_path: Path) -> None:
    """torch's grouped product refuses rows that are not whole 16 bytes."""
    config = MixtralConfig(**{**SIZES, "intermediate_size": 20}, num_local_experts=4)
    source = save_folder(made(lambda: MixtralForCausalLM(config), torch.bfloat16), tmp_path / "model")
    adascale.quantize(source, tmp_path / "out", [TEXT], **QUICK)
    names = load_file(tmp_path / "out" / "model.safetensors")
    assert sum(".experts." in name for name in names) == 2 * 4 * 3


def test_rows_after_the_last_group_are_zero_in_onnx_too() -> None:
    from adascale.formats.onnx_capture import _row_by_row

    x, weight = torch.rand(5, 3), torch.rand(2, 3, 4)
    product = _row_by_row(x, weight, torch.tensor([1, 3], dtype=torch.int32))
    expected = torch.cat([x[:1] @ weight[0], x[1:3] @ weight[1], torch.zeros(2, 4)])
    assert torch.allclose(product, expected)
