"""The ONNX formats of small models: the stored tensors, and the results of ONNX Runtime and OpenVINO."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx_runs import (
    BASIC,
    DEFAULT,
    OPTIMIZED,
    PLAIN,
    checked,
    codes_of,
    initializers,
    metadata,
    operators,
    relative_difference,
    run_onnxruntime,
    run_openvino,
)
from small_folders import tiny_llama
from torch import Tensor, nn

from adascale import Error, QuantizationSimModel, apply_adascale

EXACT = 1e-5


class Convolutions(nn.Module):
    """[n, 3, 16, 16] to [n, 12]: a depthwise layer, batch norms, two Linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16, padding=1)
        self.norm2 = nn.BatchNorm2d(16)
        self.first = nn.Linear(16, 32)
        self.last = nn.Linear(32, 12)
        for norm in (self.norm, self.norm2):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.norm(self.stem(image)).relu()
        hidden = self.norm2(self.depthwise(hidden)).relu().mean((2, 3))
        return self.last(self.first(hidden).relu())


class Stack(nn.Module):
    """[n, 4, 16] to [n, 4, 32]: a weight of three axes, as experts have, and a Conv1D's [in, out]."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.Parameter(torch.randn(4, 16, 32))
        self.turned = nn.Parameter(torch.randn(32, 32))
        self.last = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.bmm(x.transpose(0, 1), self.experts).transpose(0, 1)
        return self.last(torch.matmul(hidden, self.turned).relu())


class Returns(nn.Module):
    """[n, 32] to [n, 8], and one of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(32, 32)
        self.last = nn.Linear(32, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.last(self.first(x).relu()), self.first.weight


def llama() -> tuple[nn.Module, dict[str, Tensor]]:
    ids = torch.randint(0, 300, (2, 16))
    return tiny_llama(tied=True), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def convolutions() -> tuple[nn.Module, dict[str, Tensor]]:
    return Convolutions().eval(), {"image": torch.rand(4, 3, 16, 16)}


def stack() -> tuple[nn.Module, dict[str, Tensor]]:
    return Stack().eval(), {"x": torch.randn(3, 4, 16)}


def sequence() -> tuple[nn.Module, dict[str, Tensor]]:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU6(), nn.Linear(64, 16)).eval()
    return model, {"input": torch.randn(2, 6, 64)}


MODELS = {"llama": llama, "convolutions": convolutions, "stack": stack}
SEQUENCES = {"sequence": sequence, "stack": stack}
GRIDS: dict[str, dict[str, Any]] = {
    "int8": {"param_bw": 8},
    "uint8": {"param_bw": 8, "symmetric": False},
    "int4": {"param_bw": 4},
    "uint4 g16": {"param_bw": 4, "symmetric": False, "group_size": 16},
    "int4 lpbq": {"param_bw": 4, "group_size": 16, "decompressed_bw": 8},
    "int3": {"param_bw": 3},
    "uint6 g16": {"param_bw": 6, "symmetric": False, "group_size": 16},
    "int2": {"param_bw": 2},
    "uint2": {"param_bw": 2, "symmetric": False},
    "int12": {"param_bw": 12},
    "uint16": {"param_bw": 16, "symmetric": False},
}
FIRST = {"llama": "logits", "convolutions": None, "stack": None}


def simulate(name: str, options: dict[str, Any]) -> tuple[QuantizationSimModel, dict[str, Tensor], Tensor]:
    """A calibrated simulation, inputs and its outputs for them."""
    torch.manual_seed(3)  # some draws have a layer whose outputs are all zero, and no scale to speak of
    model, inputs = (MODELS | SEQUENCES)[name]()
    options = {"output_bw": 32} | options
    groups = options.get("group_size", 0)
    if name == "convolutions" and groups:
        options = options | {"layer_config": {"Conv2d": {"group_size": 0, "decompressed_bw": 0}}}
    sim = QuantizationSimModel(model, inputs, **options)
    sim.compute_encodings(lambda simulated: simulated(**inputs))
    output = sim.model(**inputs)
    return sim, inputs, output.logits if name == "llama" else output


def export(sim: QuantizationSimModel, folder: Path, name: str = "onnx") -> tuple[Path, onnx.ModelProto]:
    (path,) = sim.export(folder, "m", formats=[name])
    return Path(path), checked(Path(path))


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


@pytest.mark.parametrize("grid", [grid for grid in GRIDS if "12" not in grid and "16" not in grid.split()[0]])
@pytest.mark.parametrize("name", ["llama", "convolutions"])
def test_products_of_few_bits(name: str, grid: str, tmp_path: Path) -> None:
    sim, inputs, expected = simulate(name, GRIDS[grid])
    path, model = export(sim, tmp_path, "onnx-matmulnbits")
    tied = 0 if "2" in grid else 1  # GatherBlockQuantized, which shares the codes, has no 2 bits
    assert operators(model)["MatMulNBits"] == {"llama": 14 + tied, "convolutions": 2}[name]
    for how in (PLAIN, DEFAULT):
        assert relative_difference(run_onnxruntime(path, inputs, how)[0], expected) < EXACT, how


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


def test_codes_are_stored_once_and_small(tmp_path: Path) -> None:
    sim, _, _ = simulate("llama", {"param_bw": 4, "layer_config": {"Embedding": {"param_bw": 8}}})
    path, model = export(sim, tmp_path)
    stored = initializers(model)
    tied = [name for name in ("lm_head.weight", "model.embed_tokens.weight") if name in stored]
    assert len(tied) == 1 and stored[tied[0]].data_type == onnx.TensorProto.INT8
    query = stored["model.layers.0.self_attn.q_proj.weight"]
    assert query.data_type == onnx.TensorProto.INT4 and list(query.dims) == [32, 32]
    shape = sim.model.state_dict()["model.layers.0.self_attn.q_proj.weight"]
    codes, scale = codes_of(query), stored[f"{query.name}_scale"]
    values = codes * torch.from_numpy(onnx.numpy_helper.to_array(scale))  # [in, out], a scale a column
    assert torch.equal(values.T.contiguous(), shape)
    assert model.ir_version == 10
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 21}


def test_dynamic_axes_are_kept(tmp_path: Path) -> None:
    sim, _, _ = simulate("llama", {"param_bw": 8})
    path, model = export(sim, tmp_path)
    ids = torch.randint(0, 300, (3, 9))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    expected = sim.model(**inputs).logits
    assert relative_difference(run_onnxruntime(path, inputs, OPTIMIZED)[0], expected) < EXACT
    assert [given.name for given in model.graph.input] == ["input_ids", "attention_mask"]


def test_the_file_says_what_made_it(tmp_path: Path) -> None:
    model, inputs = convolutions()
    sim = QuantizationSimModel(nn.Sequential(model.first, nn.ReLU(), model.last).eval(), torch.rand(4, 16))
    batches = [torch.rand(8, 16) for _ in range(2)]
    apply_adascale(sim, batches, iterations=2, blocks=["*"], seed=7)
    sim.compute_encodings(lambda simulated: simulated(batches[0]))
    _, onnx_model = export(sim, tmp_path)
    told = metadata(onnx_model)
    assert onnx_model.producer_name == "adascale"
    assert (told["adascale.seed"], told["adascale.format"]) == ("7", "onnx")
    assert told["adascale.recipe"] and told["adascale.version"] == onnx_model.producer_version
    assert set(json.loads(told["adascale.weights"]).values()) == {"int8 symmetric per channel"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_dtypes(dtype: torch.dtype, tmp_path: Path) -> None:
    ids = torch.randint(0, 300, (2, 16))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    sim = QuantizationSimModel(tiny_llama(dtype), inputs, param_bw=4, output_bw=32)
    path, model = export(sim, tmp_path)
    kinds = {tensor.data_type for tensor in initializers(model).values()}
    assert onnx.TensorProto.INT4 in kinds
    with pytest.raises(Error, match="onnx-matmulnbits: .*q_proj: its weight is .*16, expected float32"):
        sim.export(tmp_path / "out", "m", formats=["onnx-matmulnbits"])
    if dtype == torch.float16:
        expected = sim.model(**inputs).logits
        assert relative_difference(run_onnxruntime(path, inputs, PLAIN)[0], expected) < 0.01


def test_weights_beside_a_large_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adascale.formats.onnx_formats.LARGEST_INLINE", 10_000)
    sim, inputs, expected = simulate("llama", {"param_bw": 4})
    paths = sim.export(tmp_path, "m", formats=["onnx"])
    assert [Path(path).name for path in paths] == ["m.onnx", "m.onnx.data"]
    checked(Path(paths[0]))
    assert relative_difference(run_onnxruntime(Path(paths[0]), inputs, PLAIN)[0], expected) < EXACT
    monkeypatch.undo()
    with pytest.raises(Error, match=r"m\.onnx\.data: is of an earlier run"):
        sim.export(tmp_path, "m", formats=["onnx"])


@pytest.mark.parametrize("format_name", ["onnx", "onnx-float", "onnx-matmulnbits"])
def test_the_size_is_known_before(format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2-bit codes stored in 4 bits, scales and zero points are included."""
    sim, _, _ = simulate("llama", {"param_bw": 2, "symmetric": False, "group_size": 16})
    _, model = export(sim, tmp_path / "inline", format_name)
    stored = sum(len(t.raw_data) for t in model.graph.initializer)
    for limit, is_beside in ((stored - 2000, True), (stored + 2000, False)):
        monkeypatch.setattr("adascale.formats.onnx_formats.LARGEST_INLINE", limit)
        paths = sim.export(tmp_path / str(is_beside), "m", formats=[format_name])
        assert (len(paths) == 2) == is_beside


@pytest.mark.parametrize(
    ("name", "format_name", "options", "opset"),
    [
        ("llama", "onnx", {}, 25),
        ("llama", "onnx-float", {}, 21),
        ("llama", "onnx-matmulnbits", {}, 21),
        ("llama", "onnx", {"output_bw": 8}, 21),  # its weights fall back to 4 bits
        ("stack", "onnx-matmulnbits", {}, 25),  # of experts, which are not products for MatMulNBits
    ],
)
def test_the_opset_of_what_is_stored(
    name: str, format_name: str, options: dict[str, int], opset: int, tmp_path: Path
) -> None:
    sim, _, _ = simulate(name, {"param_bw": 2} | options)
    _, model = export(sim, tmp_path, format_name)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == opset
    assert model.ir_version == {21: 10, 25: 13}[opset]
    two_bits = {onnx.TensorProto.INT2, onnx.TensorProto.UINT2}
    assert any(tensor.data_type in two_bits for tensor in model.graph.initializer) == (opset == 25)


@pytest.mark.parametrize("format_name", ["onnx", "onnx-float", "onnx-matmulnbits"])
def test_weights_are_dequantized_once_a_step(
    format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are copied then: once for the first check, once for the file."""
    from adascale.formats.onnx_formats import _OnnxFormat

    calls: list[str] = []

    def counting(step: str) -> Any:
        original = getattr(_OnnxFormat, step)

        def counted(self: Any, model: Any, *rest: Any) -> Any:
            def tensors() -> dict[str, Tensor]:
                calls.append(step)
                return model.tensors()  # type: ignore[no-any-return]

            return original(self, replace(model, tensors=tensors), *rest)

        return counted

    for step in ("check", "notes", "write"):
        monkeypatch.setattr(_OnnxFormat, step, counting(step))
    sim, _, _ = simulate("llama", {"param_bw": 4})
    export(sim, tmp_path, format_name)
    assert calls == ["check", "write"]


def test_all_objections_at_once(tmp_path: Path) -> None:
    sim, _, _ = simulate("llama", {"param_bw": 4, "group_size": 8})
    with pytest.raises(Error) as refusal:
        sim.export(tmp_path / "out", "m", formats=["onnx-matmulnbits"])
    text = str(refusal.value)
    assert text.count("got groups of 8, expected 16, 32, 64, 128, 256 or per channel") == 15
    assert not (tmp_path / "out").exists()
    with pytest.raises(Error, match="no quantized Linear layer; use formats=\\['onnx'\\]"):
        only_convolution().export(tmp_path / "out", "m", formats=["onnx-matmulnbits"])


def only_convolution() -> QuantizationSimModel:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()
    return QuantizationSimModel(model, torch.rand(2, 3, 8, 8), output_bw=32)


class Untranslatable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.i1e(self.last(self.first(x).relu()))


def test_what_torch_onnx_cannot_translate(tmp_path: Path) -> None:
    sim = QuantizationSimModel(Untranslatable().eval(), torch.rand(4, 8))
    with pytest.raises(Error, match="onnx: torch.onnx cannot translate the program: .*i1e"):
        sim.export(tmp_path / "out", "m", formats=["onnx"])
    assert not (tmp_path / "out").exists()


def test_garbage_is_refused_by_the_runtimes(tmp_path: Path) -> None:
    from adascale.runtimes import python_runtimes

    (tmp_path / "m.onnx").write_bytes(b"\x08\x0anothing")
    for runtime in python_runtimes():
        if runtime.files == "*.onnx":
            with pytest.raises(Error, match=rf"m\.onnx: {runtime.name} .* refuses it: "):
                runtime.open(str(tmp_path), ["x"], ["y"])
