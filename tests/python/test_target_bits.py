"""`target_bits` and `target_size`: each layer gets the bits that the model's output asks for."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_folders import QUICK, TEXT, llama_folder
from transformers import AutoModelForCausalLM

import adascale
from adascale import Error

pytestmark = pytest.mark.usefixtures("kept_captures")


def report_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "report.json").read_text())
    return content


def bits_of(out: Path) -> dict[str, int]:
    layers = report_of(out)["plan"]["model"]["layers"]
    return {name: layer["grid"]["bits"] for name, layer in layers.items()}


def mean_bits(out: Path) -> float:
    """From the files: codes of the bits in config.json, scales as they are stored."""
    tensors, bits = load_file(out / "model.safetensors"), bits_of(out)
    weights = total = 0
    for layer, width in bits.items():
        count = int(tensors[f"{layer}.weight_shape"].prod())
        scale = tensors[f"{layer}.weight_scale"]
        weights += count
        total += count * width + scale.numel() * scale.itemsize * 8
    return total / weights


def quantize(source: Path, out: Path, **options: Any) -> Path:
    adascale.quantize(source, out, [TEXT], **QUICK, **options)
    return out


def test_the_mean_is_reached_and_widths_differ(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = llama_folder(tmp_path / "model")
    out = quantize(source, tmp_path / "out", formats=["compressed-tensors"], target_bits=5.5)
    said = capfd.readouterr().out
    assert "bits      mean 5." in said and " of at most 5.500: " in said and "KL " in said
    bits = bits_of(out)
    assert len(set(bits.values())) > 1 and set(bits.values()) <= {2, 3, 4, 5, 6, 8}
    assert 5 < mean_bits(out) <= 5.5
    assert mean_bits(out) == pytest.approx(report_of(out)["bits"]["mean_bits"])
    for layer in range(2):  # a runtime makes one product of them
        at = f"model.layers.{layer}."
        assert len({bits[f"{at}self_attn.{name}_proj"] for name in "qkv"}) == 1
        assert bits[f"{at}mlp.gate_proj"] == bits[f"{at}mlp.up_proj"]


def test_the_files_load_with_the_simulations_weights(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    out = quantize(source, tmp_path / "out", formats=["hf", "pt2"], target_bits=5)
    loaded = AutoModelForCausalLM.from_pretrained(out).state_dict()
    simulated = torch.export.load(out / "model.pt2").state_dict
    for layer, bits in bits_of(out).items():
        weight = loaded[f"{layer}.weight"]
        assert torch.equal(weight, simulated[f"{layer}.weight"])
        assert all(len(row.unique()) <= 2**bits for row in weight)


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    first, second = (quantize(source, tmp_path / name, target_bits=4.5) for name in ("a", "b"))
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert report_of(first)["bits"] == report_of(second)["bits"]


def test_a_size_counts_what_is_not_quantized(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = llama_folder(tmp_path / "model")
    options: dict[str, Any] = {"formats": ["gptq"], "target_size": "96kB", "target_widths": [2, 4, 8]}
    out = quantize(source, tmp_path / "out", **options)
    size = report_of(out)["size"]["after"]
    assert 92_000 < size <= 96_000
    assert set(bits_of(out).values()) <= {2, 4, 8}
    assert "target_size=96kB" in capfd.readouterr().out or "96kB" in (out / "README.md").read_text()


def test_types_of_gguf_are_chosen(tmp_path: Path) -> None:
    """Rows of 32 and 48: no K-quants, and none of GGUF's blocks for 48, which stay as they are."""
    source = llama_folder(tmp_path / "model")
    layers = {"*down_proj": {"param_bw": 32}}
    out = quantize(source, tmp_path / "out", formats=["gguf"], target_bits=6, layer_config=layers)
    assert set(bits_of(out).values()) <= {4, 5, 8} and len(set(bits_of(out).values())) > 1
    assert report_of(out)["bits"]["mean_bits"] <= 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_bits": 4, "target_size": "1MB"}, "target_bits and target_size: both are given"),
        (
            {"target_bits": 4, "param_bw": 3},
            "param_bw=3: is for all layers, and target_bits 4 chooses for each",
        ),
        ({"target_bits": 0.5}, "target_bits: got 0.5, expected 1 to 16, or 0 for off"),
        ({"target_size": "big"}, "target_size: got 'big', expected a size such as 90MB or 1.5GiB"),
        ({"target_size": "1MB"}, "target_size='1MB': hf stores numbers in the model's dtype"),
        ({"target_bits": 1.5}, "target_bits 1.5: out of reach, expected .* with widths of 2 to 8"),
        ({"target_bits": 4, "target_widths": [9]}, "target_widths: got 9, expected 2 to 8"),
    ],
)
def test_refusals(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    with pytest.raises(Error, match=message):
        quantize(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
