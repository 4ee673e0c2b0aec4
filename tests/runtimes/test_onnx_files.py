"""The files of the ONNX formats: how tensors are stored, what the file says, what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx_cases import EXACT, convolutions, export, simulate
from onnx_runs import (
    PLAIN,
    checked,
    codes_of,
    initializers,
    metadata,
    relative_difference,
    run_onnxruntime,
)
from small_folders import tiny_llama
from torch import Tensor, nn

from adascale import Error, QuantizationSimModel, apply_adascale


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

    def counting(step: str, place: int) -> Any:
        original = getattr(_OnnxFormat, step)

        def counted(self: Any, *given: Any) -> Any:
            model = given[place]

            def tensors() -> dict[str, Tensor]:
                calls.append(step)
                return model.tensors()  # type: ignore[no-any-return]

            return original(self, *given[:place], replace(model, tensors=tensors), *given[place + 1 :])

        return counted

    for step, place in (("prepare", 0), ("_write", 1)):
        monkeypatch.setattr(_OnnxFormat, step, counting(step, place))
    sim, _, _ = simulate("llama", {"param_bw": 4})
    export(sim, tmp_path, format_name)
    assert calls == ["prepare", "_write"]


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
