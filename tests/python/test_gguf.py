"""The gguf format against gguf's own reader: codes, layouts, names, metadata, and refusals."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from gguf_folders import folder_of, llama, objection
from safetensors.torch import load_file
from small_folders import CHAT_TEMPLATE, QUICK, SIZES, TEXT, save_folder, tiny_tokenizer
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

# Each type with the options that select it, and its fallback for rows of 64.
TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "Q4_0": ({"param_bw": 4}, "Q4_0"),
    "Q4_1": ({"param_bw": 4, "symmetric": False}, "Q4_1"),
    "Q5_0": ({"param_bw": 5}, "Q5_0"),
    "Q5_1": ({"param_bw": 5, "symmetric": False}, "Q5_1"),
    "Q8_0": ({"param_bw": 8}, "Q8_0"),
    "Q2_K": ({"param_bw": 2}, "Q4_0"),
    "Q3_K": ({"param_bw": 3}, "Q4_0"),
    "Q4_K": ({"param_bw": 4}, "Q5_0"),
    "Q5_K": ({"param_bw": 5}, "Q5_1"),
    "Q6_K": ({"param_bw": 6}, "Q8_0"),
}
OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
INNER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    module, _, parameter = name.rpartition(".")
    if module in OUTER:
        return f"{OUTER[module]}.{parameter}"
    _, _, layer, rest = module.split(".", 3)
    return f"blk.{layer}.{INNER[rest]}.{parameter}"


def read(path: Path) -> tuple[GGUFReader, dict[str, Any]]:
    reader = GGUFReader(path)
    return reader, {tensor.name: tensor for tensor in reader.tensors}


def values_in(tensor: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type)))


def as_llama_cpp(name: str, weight: torch.Tensor, heads: int = 4, kv_heads: int = 2) -> torch.Tensor:
    """Moves rows of q and k to llama.cpp's places for rotary embedding: convert_hf_to_gguf's permute."""
    count = {"attn_q": heads, "attn_k": kv_heads}.get(name.split(".")[-2])
    if count is None:
        return weight
    return weight.unflatten(0, (count, 2, -1)).transpose(1, 2).reshape(weight.shape)


def expect_same_bits(ours: torch.Tensor, theirs: torch.Tensor, name: str) -> None:
    assert torch.equal(ours.float().view(torch.int32), theirs.view(torch.int32)), name


def expect_is_ours(out: Path, moves: bool = True, **heads: int) -> dict[str, Any]:
    """Every tensor read by gguf equals, to the bit, the one in safetensors of the same run."""
    _, tensors = read(out / "model.gguf")
    ours = load_file(out / "model.safetensors")
    assert {gguf_name(name) for name in ours} == set(tensors)
    for name, weight in ours.items():
        stored = tensors[gguf_name(name)]
        expected = as_llama_cpp(stored.name, weight, **heads) if moves else weight
        if stored.tensor_type.name == "F16":
            expected = expected.half().float()
        expect_same_bits(expected, values_in(stored), name)
    return tensors


@pytest.mark.parametrize("recipe", ["rtn", "best"])
@pytest.mark.parametrize("kind", TYPES)
def test_gguf_reads_our_exact_weights(kind: str, recipe: str, tmp_path: Path) -> None:
    source = llama(tmp_path / "model", hidden_size=256, intermediate_size=512, num_hidden_layers=1)
    options, _ = TYPES[kind]
    budget = {**QUICK, "iterations": 60, "samples": 64} if recipe == "best" else {**QUICK, "iterations": None}
    adascale.quantize(
        source,
        tmp_path / "out",
        [TEXT],
        formats=[f"gguf:{kind}", "safetensors"],
        recipe=recipe,
        outside_bw=8,
        **options,
        **budget,
    )
    if recipe == "best" and kind.endswith("_K"):  # the floats of superblocks have learned
        assert json.loads((tmp_path / "out" / "report.json").read_text())["last_stage"]["kept"]
    tensors = expect_is_ours(tmp_path / "out")
    kinds = {tensor.tensor_type.name for name, tensor in tensors.items() if name.startswith("blk.0.ffn_")}
    assert kinds == {kind, "F32"}
    assert tensors["token_embd.weight"].tensor_type.name == "Q8_0"
    assert tensors["output.weight"].tensor_type.name == "Q8_0"


@pytest.mark.parametrize("kind", TYPES)
def test_short_rows_fall_back_as_llama_cpp_does(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, fallback = TYPES[kind]
    adascale.quantize(
        llama(tmp_path / "model"),
        tmp_path / "out",
        [TEXT],
        formats=[f"gguf:{kind}", "safetensors"],
        **options,
        **QUICK,
    )
    tensors = expect_is_ours(tmp_path / "out")
    assert {tensors[f"blk.{i}.ffn_up.weight"].tensor_type.name for i in (0, 1)} == {fallback}
    assert tensors["token_embd.weight"].tensor_type.name == "F16"
    if fallback != kind:
        said = capsys.readouterr().out
        assert f"gguf: {fallback} instead of {kind}, rows of 64 being no multiple of 256" in said


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"param_bw": 8, "symmetric": False}, "Q8_0"),
        ({"param_bw": 4}, "Q4_0"),
        ({"param_bw": 4, "symmetric": False}, "Q4_1"),
        ({"param_bw": 5, "symmetric": False}, "Q5_1"),
        ({"param_bw": 8}, "Q8_0"),
        ({"param_bw": 4, "group_size": 64, "layer_config": {"*down_proj": {"group_size": 32}}}, "Q4_0"),
    ],
)
def test_plain_gguf_chooses_by_bits_and_symmetry(options: dict[str, Any], kind: str, tmp_path: Path) -> None:
    adascale.quantize(
        llama(tmp_path / "model"),
        tmp_path / "out",
        [TEXT],
        formats=["gguf", "safetensors"],
        **options,
        **QUICK,
    )
    tensors = expect_is_ours(tmp_path / "out")
    assert {tensors[f"blk.{i}.attn_q.weight"].tensor_type.name for i in (0, 1)} == {kind}


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_architectures(kind: str, tmp_path: Path) -> None:
    configs = {
        "llama": (LlamaConfig, LlamaForCausalLM, {"attention_bias": True}),
        "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
        "qwen3": (Qwen3Config, Qwen3ForCausalLM, {"head_dim": 32}),
    }
    config, model, changes = configs[kind]
    source = folder_of(config, model, tmp_path / "model", tie_word_embeddings=True, **changes)
    adascale.quantize(
        source, tmp_path / "out", [TEXT], formats=["gguf", "safetensors"], param_bw=4, outside_bw=8, **QUICK
    )
    tensors = expect_is_ours(tmp_path / "out", moves=kind == "llama")
    assert "output.weight" not in tensors  # tied: stored once
    reader, _ = read(tmp_path / "out" / "model.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == kind
    assert fields[f"{kind}.block_count"] == 2
    assert fields[f"{kind}.attention.head_count"] == 4
    assert fields[f"{kind}.attention.head_count_kv"] == 2
    assert fields[f"{kind}.attention.key_length"] == (32 if kind == "qwen3" else 16)
    assert fields[f"{kind}.rope.freq_base"] == 10000.0
    assert fields["general.file_type"] == 7 or fields["general.file_type"] == 2
    assert fields["adascale.recipe"] == "fast"
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokens, held = fields["tokenizer.ggml.tokens"], Tokenizer.from_file(str(source / "tokenizer.json"))
    size = held.get_vocab_size()  # newer tokenizers of Qwen's add one of their own when they are loaded
    assert tokens[:size] == [held.id_to_token(i) for i in range(size)]
    assert len(tokens) == SIZES["vocab_size"] and tokens[-1] == f"[PAD{len(tokens) - 1}]"
    assert fields["tokenizer.ggml.token_type"][:3] == [3, 3, 1]
    assert fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert fields["tokenizer.ggml.eos_token_id"] == tokenizer.eos_token_id
    merges = json.loads((source / "tokenizer.json").read_text())["model"]["merges"]
    assert fields["tokenizer.ggml.merges"] == [" ".join(pair) for pair in merges]


def test_a_gguf_has_its_tensors_replaced(tmp_path: Path) -> None:
    adascale.quantize(
        llama(tmp_path / "model"), tmp_path / "first", [TEXT], formats=["gguf"], param_bw=8, **QUICK
    )
    source = tmp_path / "first" / "model.gguf"
    adascale.quantize(
        source, tmp_path / "out", [TEXT], formats=["gguf:Q4_0", "safetensors"], param_bw=4, **QUICK
    )
    made = next((tmp_path / "out").glob("*.gguf"))
    (_, before), (_, after) = read(source), read(made)
    ours = load_file(next((tmp_path / "out").glob("*.safetensors")))
    assert list(before) == list(after)
    for name, tensor in after.items():
        if "_proj" in name or name.startswith("blk.") and "norm" not in name:
            assert tensor.tensor_type.name == "Q4_0"
        else:
            assert tensor.data.tobytes() == before[name].data.tobytes()
    for name, weight in ours.items():
        if "_proj" in name:
            expect_same_bits(as_llama_cpp(gguf_name(name), weight), values_in(after[gguf_name(name)]), name)


def test_a_gguf_becomes_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    adascale.quantize(
        llama(tmp_path / "model"), tmp_path / "first", [TEXT], formats=["gguf"], param_bw=8, **QUICK
    )
    capfd.readouterr()
    source, out = tmp_path / "first" / "model.gguf", tmp_path / "out"
    adascale.quantize(source, out, [TEXT], formats=["hf", "safetensors"], param_bw=4, **QUICK)
    assert "Converting" not in capfd.readouterr().err
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    held, (ours,) = AutoModelForCausalLM.from_pretrained(out).state_dict(), out.glob("first*.safetensors")
    for name, weight in load_file(ours).items():
        assert torch.equal(held[name].float(), weight.float()), name


def test_a_packed_model_in_memory_is_refused_before_training(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    packed = SimpleNamespace(quant_method="gguf")
    model.hf_quantizer = SimpleNamespace(is_serializable=lambda: False, quantization_config=packed)
    with pytest.raises(adascale.Error, match=r"hf: LlamaForCausalLM is quantized already \(gguf\)"):
        adascale.quantize(model, tmp_path / "out", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    assert not (tmp_path / "out").exists()


def test_what_has_no_place_is_refused_before_work(tmp_path: Path) -> None:
    source = llama(tmp_path / "model")
    assert "GGUF has no type of 7 bits; use 4, 5 or 8, or 2, 3 or 6" in objection(
        source, tmp_path, ["gguf"], param_bw=7
    )
    assert "gguf:Q6_K: no layer has its 6 bits; use param_bw=6" in objection(
        source, tmp_path, ["gguf:Q6_K"], param_bw=4
    )
    assert "'gguf:Q9_X': gguf has no grid 'Q9_X'; it has Q4_0, Q4_1" in objection(
        source, tmp_path, ["gguf:Q9_X"], param_bw=4
    )
    assert "group_size 16 is no multiple of Q4_0's blocks of 32" in objection(
        source, tmp_path, ["gguf"], param_bw=4, group_size=16
    )
    short = llama(tmp_path / "short", intermediate_size=96)
    assert "rows of 96 are no multiple of group_size 64; use 32" in objection(
        short, tmp_path, ["gguf"], param_bw=4, group_size=64
    )
    odd = llama(tmp_path / "odd", intermediate_size=80)
    assert "rows of 80 are no blocks of 32" in objection(odd, tmp_path, ["gguf"], param_bw=4)


@pytest.mark.parametrize("formats", [["gptq", "gguf:Q4_K"], ["gguf:Q4_K", "gptq"]])
def test_a_grid_that_is_not_the_one_asked_for_is_refused(formats: list[str], tmp_path: Path) -> None:
    source = llama(tmp_path / "model", hidden_size=256, intermediate_size=512, num_hidden_layers=1)
    said = objection(source, tmp_path, formats, param_bw=4, group_size=32)
    assert " and 5 more: is int4 with minimum per group of 32, superblocks of 256, which it has" in said


def test_the_gguf_that_a_model_came_from_stays(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    adascale.quantize(llama(tmp_path / "source"), folder, [TEXT], formats=["gguf"], param_bw=8, **QUICK)
    before = next(folder.glob("*.gguf")).rename(folder / "model.gguf")
    bytes_before = before.read_bytes()
    with pytest.raises(adascale.Error, match="model.gguf: would be overwritten; choose another folder"):
        adascale.quantize(folder, folder, [TEXT], formats=["gguf"], param_bw=4, **QUICK)
    assert before.read_bytes() == bytes_before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K"])
def test_short_dtypes_are_the_files_weights_rounded(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(1)
    sizes = {**SIZES, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 1}
    model = LlamaForCausalLM(LlamaConfig(**sizes, eos_token_id=0)).to(dtype).eval()
    source = save_folder(model, tmp_path / "model", CHAT_TEMPLATE)
    formats = [f"gguf:{kind}", "safetensors"]
    adascale.quantize(source, tmp_path / "out", [TEXT], formats=formats, param_bw=4, **QUICK)
    _, tensors = read(tmp_path / "out" / "model.gguf")
    for name, weight in load_file(tmp_path / "out" / "model.safetensors").items():
        if "_proj" in name:
            stored = values_in(tensors[gguf_name(name)])
            expected = as_llama_cpp(gguf_name(name), weight)
            assert torch.equal(stored.to(dtype), expected), name
            assert not torch.equal(stored, expected.float()), name


def test_an_output_that_is_a_folder_is_refused_before_work(tmp_path: Path) -> None:
    source = llama(tmp_path / "model")
    (tmp_path / "out" / "model.gguf").mkdir(parents=True)
    with pytest.raises(adascale.Error, match="model.gguf: is a folder, expected a file name"):
        adascale.quantize(
            source, tmp_path / "out", [TEXT], formats=["gguf"], param_bw=4, **{**QUICK, "iterations": 10**6}
        )


def test_unknown_architectures_are_refused(tmp_path: Path) -> None:
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=320, n_positions=64, n_embd=64, n_layer=2, n_head=4)).eval()
    source = save_folder(gpt2, tmp_path / "gpt2")
    assert "architecture GPT2LMHeadModel is not written, only LlamaForCausalLM" in objection(
        source,
        tmp_path,
        ["gguf"],
        layer_config={"*": {"param_bw": 32}, "*lm_head": {"param_bw": 4}},
        recipe="rtn",
        iterations=None,
    )
    refusal = objection(source, tmp_path, ["gguf"], param_bw=4)
    assert "a MatMul is no matrix that a GGUF holds; exclude the layer (layer_config: " in refusal
    scaled = llama(tmp_path / "scaled")
    config = json.loads((scaled / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    (scaled / "config.json").write_text(json.dumps(config))
    assert "rotary embeddings of type linear are not written" in objection(
        scaled, tmp_path, ["gguf"], param_bw=4
    )
