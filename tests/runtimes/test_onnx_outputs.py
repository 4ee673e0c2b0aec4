"""The ONNX formats of small models: ONNX Runtime and OpenVINO compute as the simulation does."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx_cases import EXACT, GRIDS, MODELS, export, simulate
from onnx_runs import (
    BASIC,
    DEFAULT,
    OPTIMIZED,
    PLAIN,
    initializers,
    metadata,
    operators,
    relative_difference,
    run_onnxruntime,
    run_openvino,
)
from torch import Tensor, nn

from adascale import Error, QuantizationSimModel


class Returns(nn.Module):
    """[n, 32] to [n, 8], and one of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, 32)
        self.last = nn.Linear(32, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.last(self.first(x).relu()), self.first.weight


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", MODELS)
def test_onnx_runtime_gives_the_simulations_output(name: str, grid: str, tmp_path: Path) -> None:
    sim, inputs, expected = simulate(name, GRIDS[grid])
    path, _ = export(sim, tmp_path)
    for how in (PLAIN, BASIC, OPTIMIZED):
        got = run_onnxruntime(path, inputs, how)[0]
        assert relative_difference(got, expected) < EXACT, how
    assert relative_difference(run_onnxruntime(path, inputs, DEFAULT)[0], expected) < 0.06


@pytest.mark.parametrize("grid", ["int8", "uint8", "int4", "uint4 g16", "int4 lpbq", "int3", "uint6 g16"])
@pytest.mark.parametrize("name", MODELS)
def test_openvino_gives_the_simulations_output(name: str, grid: str, tmp_path: Path) -> None:
    sim, inputs, expected = simulate(name, GRIDS[grid])
    path, model = export(sim, tmp_path)
    (got,) = run_openvino(path, inputs, [model.graph.output[0].name])
    assert relative_difference(got, expected) < EXACT


@pytest.mark.parametrize(
    "grid",
    [grid for grid in GRIDS if not grid.endswith("g24") and "12" not in grid and "16" not in grid.split()[0]],
)
@pytest.mark.parametrize("name", ["llama", "convolutions"])
def test_products_of_few_bits(name: str, grid: str, tmp_path: Path) -> None:
    sim, inputs, expected = simulate(name, GRIDS[grid])
    path, model = export(sim, tmp_path, "onnx-matmulnbits")
    tied = 0 if "2" in grid else 1  # GatherBlockQuantized, which shares the codes, has no 2 bits
    assert operators(model)["MatMulNBits"] == {"llama": 14 + tied, "convolutions": 2}[name]
    for how in (PLAIN, DEFAULT):
        assert relative_difference(run_onnxruntime(path, inputs, how)[0], expected) < EXACT, how


@pytest.mark.parametrize("symmetric", [True, False])
def test_products_with_a_short_last_block(symmetric: bool, tmp_path: Path) -> None:
    model, inputs = nn.Sequential(nn.Linear(72, 40), nn.Linear(40, 8)).eval(), {"input": torch.randn(3, 72)}
    sim = QuantizationSimModel(
        model, inputs["input"], param_bw=4, output_bw=32, group_size=32, symmetric=symmetric
    )
    path, onnx_model = export(sim, tmp_path, "onnx-matmulnbits")
    assert operators(onnx_model)["MatMulNBits"] == 2
    got = run_onnxruntime(path, inputs, PLAIN)[0]
    assert relative_difference(got, sim.model(inputs["input"])) < EXACT


def test_openvino_reads_no_short_last_group(tmp_path: Path) -> None:
    """As the note on the file says; another version may."""
    sim, inputs, _ = simulate("llama", GRIDS["int4 g24"])
    path, model = export(sim, tmp_path)
    with pytest.raises(Error, match="refuses it: .*DequantizeLinear"):
        run_openvino(path, inputs, [model.graph.output[0].name])


def test_int8_products_are_near(tmp_path: Path) -> None:
    sim, inputs, expected = simulate("llama", GRIDS["int4"])
    path, model = export(sim, tmp_path, "onnx-matmulnbits:int8")
    levels = {a.i for n in model.graph.node for a in n.attribute if a.name == "accuracy_level"}
    assert levels == {4}
    assert EXACT < relative_difference(run_onnxruntime(path, inputs, DEFAULT)[0], expected) < 0.1


@pytest.mark.parametrize("name", MODELS)
def test_the_float_model_has_the_simulations_weights(name: str, tmp_path: Path) -> None:
    sim, inputs, expected = simulate(name, {"param_bw": 4})
    path, model = export(sim, tmp_path, "onnx-float")
    assert "DequantizeLinear" not in operators(model) and "Quantizer" not in operators(model)
    assert relative_difference(run_onnxruntime(path, inputs, PLAIN)[0], expected) < EXACT
    stored = initializers(model)
    for key, tensor in sim.model.state_dict().items():
        if "norm" not in key and key in stored:
            values = torch.from_numpy(onnx.numpy_helper.to_array(stored[key]))
            assert torch.equal(values, tensor), key
    weights = json.loads(metadata(model)["adascale.weights"])
    assert weights and set(weights) <= set(stored)


@pytest.mark.parametrize("name", MODELS)
def test_activations_have_pairs_and_the_programs_names(name: str, tmp_path: Path) -> None:
    sim, inputs, expected = simulate(name, {"param_bw": 8, "output_bw": 8})
    path, model = export(sim, tmp_path / "qdq")
    counts = operators(model)
    assert counts["QuantizeLinear"] > 0 and "Quantizer" not in counts
    # One rounding may go the other way, and so may the steps after it; most values are equal.
    got = run_onnxruntime(path, inputs, PLAIN)[0]
    step = (expected.max() - expected.min()) / 255
    assert (got - expected).abs().max() < 4 * step
    assert ((got - expected).abs() < step / 2).float().mean() > 0.9
    assert relative_difference(run_onnxruntime(path, inputs, DEFAULT)[0], expected) < 0.15
    _, plain = export(sim, tmp_path / "float", "onnx-float")
    values = {output for node in plain.graph.node for output in node.output}
    values |= {given.name for given in plain.graph.input}
    program = torch.export.load(sim.export(tmp_path / "pt2", "m", formats=["pt2"])[0])
    marked = {
        node.args[0].name
        for node in program.graph.nodes
        if "fake_quantize" in str(node.target) and "fake_quantize" not in node.args[0].name
    }
    assert marked and marked <= values


def _default(output_bw: int) -> list[Any]:
    """Its default rounds the inputs of products to 8 bits, where they are finer."""
    return [DEFAULT] if output_bw <= 8 else []


@pytest.mark.parametrize(("bits", "symmetric"), [(16, False), (8, True), (6, False), (4, False)])
def test_activations_of_any_width(bits: int, symmetric: bool, tmp_path: Path) -> None:
    options = {"param_bw": 8, "output_bw": bits, "layer_config": {"*": {"output_symmetric": symmetric}}}
    sim, inputs, expected = simulate("convolutions", options)
    path, model = export(sim, tmp_path)
    step = (expected.max() - expected.min()) / (2**bits - 1)
    for how in (PLAIN, OPTIMIZED, *_default(bits)):
        got = run_onnxruntime(path, inputs, how)[0]
        assert (got - expected).abs().max() < 2 * step, how
    kinds = {t.data_type for name, t in initializers(model).items() if name.endswith("_zero_point")}
    wanted = {
        (16, False): onnx.TensorProto.UINT16,
        (8, True): onnx.TensorProto.INT8,
        (6, False): onnx.TensorProto.UINT8,
        (4, False): onnx.TensorProto.UINT8,
    }
    assert wanted[bits, symmetric] in kinds


# ONNX Runtime's products of 8-bit integers do not take blocked scales, nor its ReLU6 4-bit codes.
@pytest.mark.parametrize("output_bw", [4, 6, 8, 16])
@pytest.mark.parametrize("grid", ["int8 g16", "uint6 g16", "uint4 g16", "int4 lpbq", "int8"])
@pytest.mark.parametrize("name", ["sequence", "stack"])
def test_groups_between_quantized_activations(name: str, grid: str, output_bw: int, tmp_path: Path) -> None:
    options = (GRIDS | {"int8 g16": {"param_bw": 8, "group_size": 16}})[grid]
    sim, inputs, expected = simulate(name, {**options, "output_bw": output_bw})
    path, _ = export(sim, tmp_path)
    step = (expected.max() - expected.min()) / (2**output_bw - 1)
    for how in (PLAIN, BASIC, OPTIMIZED, *_default(output_bw)):
        got = run_onnxruntime(path, inputs, how)[0]
        assert (got - expected).abs().max() < 4 * step, how


@pytest.mark.parametrize("format_name", ["onnx", "onnx-matmulnbits", "onnx-float"])
def test_a_quantized_parameter_may_be_an_output(format_name: str, tmp_path: Path) -> None:
    model = Returns().eval()
    x = torch.randn(3, 32)
    sim = QuantizationSimModel(model, x, param_bw=4, output_bw=32, group_size=16)
    path, _ = export(sim, tmp_path, format_name)
    got = run_onnxruntime(path, {"x": x}, PLAIN)
    for ours, theirs in zip(sim.model(x), got, strict=True):
        assert relative_difference(theirs, ours) < EXACT


def test_dynamic_axes_are_kept(tmp_path: Path) -> None:
    sim, _, _ = simulate("llama", {"param_bw": 8})
    path, model = export(sim, tmp_path)
    ids = torch.randint(0, 300, (3, 9))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    expected = sim.model(**inputs).logits
    assert relative_difference(run_onnxruntime(path, inputs, OPTIMIZED)[0], expected) < EXACT
    assert [given.name for given in model.graph.input] == ["input_ids", "attention_mask"]
