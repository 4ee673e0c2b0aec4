"""Transformers folders with packed codes, read back by readers made from the formats' descriptions."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from full import first
from safetensors import safe_open
from safetensors.torch import load_file
from small_folders import QUICK, SIZES, TEXT, llama_folder, save_folder, tiny_llama
from torch import Tensor

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

GRIDS: dict[str, dict[str, Any]] = {
    "int4": {"param_bw": 4},
    "int4 groups": {"param_bw": 4, "group_size": 16},
    "int4 asymmetric groups": {"param_bw": 4, "group_size": 16, "symmetric": False},
    "int3 groups": {"param_bw": 3, "group_size": 16, "symmetric": False},
    "int2": {"param_bw": 2, "symmetric": False},
    "int8": {"param_bw": 8},
}


def quantize(source: Path, out: Path, **options: Any) -> dict[str, Tensor]:
    """The folder's tensors; ``pt2`` beside it holds the weights that they must represent."""
    options["formats"] = [*options["formats"], "pt2"]
    adascale.quantize(source, out, [TEXT], packing="packed", **QUICK, **options)
    return load_file(out / "model.safetensors")


def weights_of(out: Path) -> dict[str, Tensor]:
    return dict(torch.export.load(out / "model.pt2").state_dict)


def bits_of_rows(words: Tensor, bits: int, n: int) -> Tensor:
    """One bit at a time, so that it shares no code with the writer."""
    stream = (words.long().unsqueeze(-1) >> torch.arange(32)) & 1
    codes = stream.flatten(1)[:, : n * bits].unflatten(1, (n, bits))
    return (codes << torch.arange(bits)).sum(-1)


def from_compressed_tensors(tensors: dict[str, Tensor], name: str, weights: dict[str, Any]) -> Tensor:
    bits = weights["num_bits"]
    out, columns = tensors[f"{name}.weight_shape"].tolist()
    scale = tensors[f"{name}.weight_scale"]
    codes = bits_of_rows(tensors[f"{name}.weight_packed"], bits, columns)
    zero = torch.full(scale.shape, 1 << (bits - 1))
    if not weights["symmetric"]:
        zero = bits_of_rows(tensors[f"{name}.weight_zero_point"].t(), bits, out).t()
    return affine(codes, scale, zero)


def from_gptq(tensors: dict[str, Tensor], name: str, config: dict[str, Any]) -> Tensor:
    bits, scale = config["bits"], tensors[f"{name}.scales"].t()
    columns, out = tensors[f"{name}.g_idx"].numel(), scale.shape[0]
    codes = bits_of_rows(tensors[f"{name}.qweight"].t(), bits, columns)
    zero = bits_of_rows(tensors[f"{name}.qzeros"], bits, out).t()
    groups = torch.arange(columns) // (columns // scale.shape[1])
    assert torch.equal(tensors[f"{name}.g_idx"], groups.int())
    return affine(codes, scale, zero + (config["checkpoint_format"] == "gptq"))


def affine(codes: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    """In the dtype of the scales, like the formats' own readers."""
    size = codes.shape[1] // scale.shape[1]
    spread = [t.to(scale.dtype).repeat_interleave(size, 1) for t in (scale, zero)]
    return (codes.to(scale.dtype) - spread[1]) * spread[0]


def quantized(weights: dict[str, Tensor]) -> list[str]:
    return [name.removesuffix(".weight") for name in weights if "_proj" in name]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", first(1, [torch.bfloat16, torch.float32, torch.float16]))
def test_compressed_tensors_hold_our_codes(grid: str, dtype: torch.dtype, tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model", dtype=dtype), tmp_path / "out"
    tensors = quantize(source, out, formats=["compressed-tensors"], **GRIDS[grid])
    config = json.loads((out / "config.json").read_text())
    assert {k: v for k, v in config.items() if k != "quantization_config"} == json.loads(
        (source / "config.json").read_text()
    )
    saved = config["quantization_config"]
    assert saved["ignore"] == ["model.embed_tokens", "lm_head"]
    (group,) = saved["config_groups"].values()
    assert group["targets"] == ["Linear"]
    ours = weights_of(out)
    assert len(quantized(ours)) == 14
    for name in quantized(ours):
        assert tensors[f"{name}.weight_scale"].dtype == dtype
        found = from_compressed_tensors(tensors, name, group["weights"])
        assert torch.equal(found, ours[f"{name}.weight"]), name
        assert f"{name}.weight" not in tensors
    kept = {n: t for shard in source.glob("*.safetensors") for n, t in load_file(shard).items()}
    for name in kept.keys() & tensors.keys():
        assert torch.equal(kept[name], tensors[name])
    assert len(kept.keys() - tensors.keys()) == 14
    assert (out / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


GPTQ_CASES = [
    (target, grid)
    for target in ("gptq", "gptq:v1", "gptq:v2")
    for grid, options in GRIDS.items()
    if target != "gptq:v1" or options.get("symmetric", True)  # else refused, see below
]


@pytest.mark.parametrize(("target", "grid"), first(len(GRIDS), GPTQ_CASES))
def test_gptq_holds_our_codes(target: str, grid: str, tmp_path: Path) -> None:
    symmetric = GRIDS[grid].get("symmetric", True)
    source, out = wide_folder(tmp_path / "model"), tmp_path / "out"
    tensors = quantize(source, out, formats=[target], **GRIDS[grid])
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config == json.loads((out / "quantize_config.json").read_text())
    is_v1 = target == "gptq:v1" or (target == "gptq" and symmetric)
    assert config["checkpoint_format"] == ("gptq" if is_v1 else "gptq_v2")
    assert config["group_size"] == GRIDS[grid].get("group_size", -1)
    assert list(config["dynamic"]) == [r"-:^model\.embed_tokens$", r"-:^lm_head$"]
    ours = weights_of(out)
    for name in quantized(ours):
        found = from_gptq(tensors, name, config)
        assert tensors[f"{name}.scales"].dtype == torch.float16
        torch.testing.assert_close(found.float(), ours[f"{name}.weight"], rtol=1e-3, atol=0)
        in_float = {**tensors, f"{name}.scales": tensors[f"{name}.scales"].float()}
        assert torch.equal(from_gptq(in_float, name, config), ours[f"{name}.weight"])


def wide_folder(folder: Path) -> Path:
    """Rows and columns that fill whole words at any number of bits."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {**SIZES, "hidden_size": 64, "intermediate_size": 96, "num_key_value_heads": 2}
    return save_folder(LlamaForCausalLM(LlamaConfig(**sizes)).eval(), folder)


def test_layers_of_their_own_grids_are_named(tmp_path: Path) -> None:
    settings = {"*.down_proj": {"param_bw": 8}, "*layers.0.self_attn.o_proj": {"param_bw": 32}}
    source = wide_folder(tmp_path / "model")
    tensors = quantize(
        source, tmp_path / "ct", formats=["compressed-tensors"], param_bw=4, layer_config=settings
    )
    saved = json.loads((tmp_path / "ct" / "config.json").read_text())["quantization_config"]
    groups = {group["weights"]["num_bits"]: group["targets"] for group in saved["config_groups"].values()}
    assert groups[8] == [f"model.layers.{i}.mlp.down_proj" for i in (0, 1)]
    assert len(groups[4]) == 14 - 2 - 1
    assert "model.layers.0.self_attn.o_proj" in saved["ignore"]
    assert "model.layers.0.self_attn.o_proj.weight" in tensors

    quantize(source, tmp_path / "gptq", formats=["gptq"], param_bw=4, layer_config=settings)
    config = json.loads((tmp_path / "gptq" / "config.json").read_text())["quantization_config"]
    eight = {"bits": 8, "group_size": -1, "sym": True}
    assert config["dynamic"][r"+:^model\.layers\.1\.mlp\.down_proj$"] == eight
    assert config["dynamic"][r"-:^model\.layers\.0\.self_attn\.o_proj$"] == {}


def test_gptq_names_the_layers_that_vllm_fuses(tmp_path: Path) -> None:
    settings = {name: {"param_bw": 8} for name in ("*.gate_proj", "*.up_proj", "*layers.1.self_attn.q_proj")}
    quantize(wide_folder(tmp_path / "model"), tmp_path, formats=["gptq"], param_bw=4, layer_config=settings)
    dynamic = json.loads((tmp_path / "config.json").read_text())["quantization_config"]["dynamic"]
    named = {name.replace("\\", "").strip("+:^$") for name in dynamic if name.startswith("+")}
    fused = [f"model.layers.{i}.mlp.{name}_proj" for i in (0, 1) for name in ("gate", "up", "gate_up")]
    assert named == {*fused, "model.layers.1.self_attn.q_proj"}


def test_the_file_says_what_made_it(tmp_path: Path) -> None:
    quantize(llama_folder(tmp_path / "model"), tmp_path / "out", formats=["compressed-tensors"], param_bw=4)
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt" and metadata["adascale.recipe"] == "fast"
    assert metadata["adascale.iterations"] == "2" and metadata["adascale.seed"] == "0"
    assert json.loads(metadata["adascale.weights"])["model.layers.0.mlp.up_proj.weight"].startswith("int4")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "v1 asymmetric": (
        {"formats": ["gptq:v1"], "symmetric": False},
        "self_attn.k_proj and 12 more: an asymmetric grid may have the zero point 0",
    ),
    "bits": ({"formats": ["gptq"], "param_bw": 5}, "more: has 5 bits, expected 2, 3, 4, 8"),
    "unknown grid": ({"formats": ["gptq:v3"]}, "formats: 'gptq:v3': gptq has no grid 'v3'; it has v1, v2"),
    "no grids": (
        {"formats": ["compressed-tensors:int4"]},
        "'compressed-tensors:int4': compressed-tensors has no grids of its own to ask for",
    ),
    "encoding_version for nothing": (
        {"formats": ["gptq"], "encoding_version": "2.1.0"},
        "encoding_version='2.1.0': is for the format encodings, which is not written",
    ),
    "files of one name": (
        {"formats": ["hf", "compressed-tensors"]},
        "both hf and compressed-tensors write it",
    ),
    "LPBQ": (
        {"formats": ["compressed-tensors"], "group_size": 16, "decompressed_bw": 8},
        "more: has LPBQ scales",
    ),
    "a short last group": (
        {"formats": ["compressed-tensors"], "group_size": 24},
        "more: has 32 inputs, no multiple of group_size 24, and its readers know no shorter last group; "
        "use 16, 32 or 0 (per channel)",
    ),
    "an embedding": (
        {"formats": ["compressed-tensors"], "outside_bw": 8},
        "model.embed_tokens: is of kind Embedding, and only Linear is packed; exclude it",
    ),
    "tied": (
        {"formats": ["compressed-tensors"], "tied": True, "outside_bw": 8},
        "model.embed_tokens.weight is tied to lm_head.weight",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_held_is_refused_first(case: str, tmp_path: Path) -> None:
    options, text = REFUSED[case]
    options = {"param_bw": 4, **options}
    made = {name: options.pop(name) for name in ("dtype", "tied") if name in options}
    source = llama_folder(tmp_path / "model", **made)
    with pytest.raises(adascale.Error) as error:
        adascale.quantize(source, tmp_path / "out", [TEXT], packing="packed", **QUICK, **options)
    assert text in str(error.value)
    assert not (tmp_path / "out").exists()


def test_experts_stored_in_pieces_are_refused(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    source = save_folder(MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=4)), tmp_path / "model")
    with pytest.raises(adascale.Error, match="does not store it as one tensor"):
        adascale.quantize(source, tmp_path / "out", [TEXT], formats=["compressed-tensors"], **QUICK)


def test_a_model_without_a_folder_is_refused(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8))
    with pytest.raises(adascale.Error, match="what the model came from is none; quantize a folder"):
        adascale.quantize(
            torch.nn.Sequential(model), tmp_path / "out", torch.rand(8, 8), formats=["gptq"], progress=False
        )


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    limited = (
        "import resource, signal, sys, adascale;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000));"
        "adascale.quantize(sys.argv[1], sys.argv[2], ['word ' * 200], formats=['compressed-tensors'],"
        " iterations=1, samples=2, seq_len=16, batch_size=1, progress=False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, source, tmp_path / "out"], capture_output=True, text=True
    )
    assert "cannot be written" in done.stderr and done.returncode == 1
    assert not (tmp_path / "out").exists()


def test_a_router_that_is_no_linear_module_is_refused(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    source = save_folder(MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=4)), tmp_path / "model")
    experts = {"*.experts*": {"param_bw": 32}}
    with pytest.raises(
        adascale.Error, match="mlp.gate: is no torch.nn.Linear, and its readers unpack nothing else"
    ):
        adascale.quantize(
            source, tmp_path / "out", [TEXT], formats=["compressed-tensors"], layer_config=experts, **QUICK
        )


def test_a_packed_head_is_announced(tmp_path: Path) -> None:
    settings = {"Embedding": {"param_bw": 32}}
    out = tmp_path / "out"
    tensors = quantize(
        wide_folder(tmp_path / "model"),
        out,
        formats=["gptq"],
        param_bw=4,
        outside_bw=4,
        layer_config=settings,
    )
    assert "lm_head.qweight" in tensors and "lm_head.weight" not in tensors
    assert json.loads((out / "quantize_config.json").read_text())["lm_head"] is True


def test_what_is_no_weight_comes_along_and_other_weights_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text("{}")
    (source / "consolidated.safetensors").write_bytes((source / "model.safetensors").read_bytes())
    tensors = quantize(source, out, formats=["compressed-tensors"], param_bw=4)
    assert (out / "1_Pooling" / "config.json").read_text() == "{}"
    assert not (out / "consolidated.safetensors").exists()
    said = capsys.readouterr().out
    assert "compressed-tensors leaves out the folder's other weights: consolidated.safetensors" in said
    assert "model.layers.0.mlp.up_proj.weight" not in tensors


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "quantize_config.json"])
def test_weights_of_another_run_are_refused(name: str, tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    out.mkdir()
    (out / name).write_text("{}")
    with pytest.raises(adascale.Error, match=f"holds {name} of another model; choose another folder"):
        adascale.quantize(source, out, [TEXT], formats=["compressed-tensors"], packing="packed", **QUICK)


def test_the_models_own_folder_is_refused(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    for out in (source / "out", source / "deep" / "out"):
        with pytest.raises(adascale.Error, match="is, or is in, the model's own folder"):
            adascale.quantize(source, out, [TEXT], formats=["compressed-tensors"], packing="packed", **QUICK)


def test_one_file_of_two_formats_is_refused(tmp_path: Path) -> None:
    sim = adascale.QuantizationSimModel(torch.nn.Linear(8, 8), torch.rand(2, 8), output_bw=32)
    with pytest.raises(adascale.Error, match="m.onnx: both onnx and onnx-float write it; choose one"):
        sim.export(tmp_path, "m", formats=["onnx", "onnx-float"])


def test_a_file_where_a_folder_must_be_is_refused_before_work(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    (source / "extra").mkdir()
    (source / "extra" / "a.txt").write_text("a")
    out = tmp_path / "out"
    out.mkdir()
    (out / "extra").write_text("a file")
    for name in ("compressed-tensors", "hf"):
        with pytest.raises(adascale.Error, match="extra/a.txt: its folder .*extra is a file"):
            adascale.quantize(
                source, out, [TEXT], formats=[name], param_bw=4, **{**QUICK, "iterations": 10**6}
            )
        assert [path.name for path in out.iterdir()] == ["extra"]


def test_scales_beyond_float16_are_refused_before_work(tmp_path: Path) -> None:
    model = tiny_llama()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = 1e7
    source = save_folder(model, tmp_path / "model")
    with pytest.raises(adascale.Error, match="lm_head: values are too large for int4") as caught:
        adascale.quantize(
            source,
            tmp_path / "out",
            [TEXT],
            formats=["gptq"],
            param_bw=4,
            outside_bw=4,
            layer_config={"*embed_tokens": {"param_bw": 32}},
            **{**QUICK, "iterations": 10**6},
        )
    assert "exclude the layer (layer_config: param_bw 32)" in str(caught.value)


def test_hf_does_not_lie_beside_what_gptq_wrote(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    adascale.quantize(source, tmp_path / "out", [TEXT], formats=["gptq"], param_bw=4, **QUICK)
    with pytest.raises(adascale.Error, match="holds quantize_config.json of another model"):
        adascale.quantize(source, tmp_path / "out", [TEXT], formats=["hf"], param_bw=4, **QUICK)
