"""Files that are damaged between being written and being read back: none gets its name."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from adascale.formats.quantized import Prepared, QuantizedModel
from full import first
from gguf import GGUFReader
from small_folders import QUICK, SIZES, TEXT, llama_folder, save_folder, tiny_llama, tiny_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

import adascale
from adascale import _C, Error, QuantizationSimModel

pytestmark = pytest.mark.usefixtures("kept_captures")

CURE = "; the file was read back before it got its name, and no file was put in place: the disk or the memory"
Damage = Callable[[Path], None]


class Vandal:
    """A row of the table, written last: it damages a file of another format, which lies beside its own."""

    name = "vandal"
    description = "damages"
    files = ["PREFIX.vandal"]
    how_to_load = "open('PREFIX.vandal')"
    targets: list[str] = []
    holds_signed_scales = True
    packs_codes = False
    widths: list[int] = []
    holds_activations = False
    damage: Damage
    file: str

    def prepare(self, model: QuantizedModel) -> Prepared:
        return Prepared(files=[f"{model.prefix}.vandal"], write=self.write, read_back=self.read_back)

    def write(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        own = Path(path(f"{model.prefix}.vandal"))
        own.write_text("")
        Vandal.damage(own.with_name(Vandal.file))

    def read_back(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        pass


_C.add_formats([Vandal()])


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def flip_tensor(name: str, at: int = 1) -> Damage:
    """A byte of a tensor in a .safetensors."""

    def damage(path: Path) -> None:
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        flip(path, 8 + length + json.loads(content[8 : 8 + length])[name]["data_offsets"][0] + at)

    return damage


def put(name: str, content: bytes) -> Damage:
    """Overwrites the first bytes of a tensor in a .safetensors."""

    def damage(path: Path) -> None:
        whole = bytearray(path.read_bytes())
        (length,) = struct.unpack("<Q", whole[:8])
        first = 8 + length + json.loads(whole[8 : 8 + length])[name]["data_offsets"][0]
        whole[first : first + len(content)] = content
        path.write_bytes(whole)

    return damage


def replace(old: bytes, new: bytes) -> Damage:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return damage


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_gguf(name: str, at: int = 1) -> Damage:
    def damage(path: Path) -> None:
        (tensor,) = (tensor for tensor in GGUFReader(path).tensors if tensor.name == name)
        flip(path, int(tensor.data_offset) + at)

    return damage


def fault(model: Any, out: Path, name: str, file: str, damage: Damage, **options: Any) -> str:
    """What is said of the file. Nothing is left of it."""
    before = sorted(path.name for path in out.parent.iterdir())
    Vandal.file, Vandal.damage = file, staticmethod(damage)
    with pytest.raises(Error) as error:
        adascale.quantize(
            model,
            out,
            [TEXT],
            formats=[name, "vandal"],
            recipe="rtn",
            **{**QUICK, "iterations": None},
            **options,
        )
    text = str(error.value)
    assert CURE in text and "run again with resume=True, and report it" in text and "\n" not in text
    assert sorted(path.name for path in out.parent.iterdir()) == before
    place, said = text[: text.index(CURE)].split(": ", 1)
    assert place.endswith(file)
    return said


QUERY = "model.layers.0.self_attn.q_proj"
PACKED: dict[str, tuple[str, str, Damage, str]] = {
    "codes": ("compressed-tensors", "", flip_tensor(f"{QUERY}.weight_packed"), f"{QUERY}: got "),
    "scale": ("compressed-tensors", "", flip_tensor(f"{QUERY}.weight_scale", 3), f"{QUERY}: got "),
    "zero": ("compressed-tensors", "", flip_tensor(f"{QUERY}.weight_zero_point"), f"{QUERY}: got "),
    "shape": (
        "compressed-tensors",
        "",
        flip_tensor(f"{QUERY}.weight_shape", 0),
        "weight_shape: got 0 at [0], expected 64",
    ),
    "other": ("compressed-tensors", "", flip_tensor("model.norm.weight"), "model.norm.weight: got "),
    "name": (
        "compressed-tensors",
        "",
        replace(b"model.norm.weight", b"model.mine.weight"),
        "no tensor model.norm.w",
    ),
    "metadata": (
        "compressed-tensors",
        "",
        replace(b"adascale.plan", b"adascale.plum"),
        "got no adascale.plan",
    ),
    "cut": ("compressed-tensors", "", cut, "truncated?"),
    "config": ("compressed-tensors", "config.json", cut, "got no JSON"),
    "setting": (
        "compressed-tensors",
        "config.json",
        replace(b'"num_bits": 4', b'"num_bits": 8'),
        "got other JSON",
    ),
    "tokenizer": ("compressed-tensors", "tokenizer.json", cut, "bytes, expected"),
    "gptq codes": ("gptq", "", flip_tensor(f"{QUERY}.qweight"), f"{QUERY}: got "),
    "gptq zero": ("gptq", "", flip_tensor(f"{QUERY}.qzeros"), f"{QUERY}: got "),
    "gptq scale": ("gptq", "", flip_tensor(f"{QUERY}.scales"), f"{QUERY}: got "),
    "gptq infinite": (
        "gptq",
        "",
        put(f"{QUERY}.scales", b"\x00\x7c"),
        "got NaN or infinity, expected finite",
    ),
    "gptq group": (
        "gptq",
        "",
        flip_tensor(f"{QUERY}.g_idx", 0),
        f"{QUERY}.g_idx: got 64 at [0], expected 0",
    ),
    "gptq config": ("gptq", "quantize_config.json", cut, "got no JSON"),
    "hf": ("hf", "", flip_tensor(f"{QUERY}.weight"), f"{QUERY}.weight: got "),
    "hf other": ("hf", "", flip_tensor("model.norm.weight"), "model.norm.weight: got "),
    "hf name": (
        "hf",
        "",
        replace(b"model.norm.weight", b"model.mine.weight"),
        "got no tensor model.norm.weight",
    ),
    "hf cut": ("hf", "", cut, "cannot be read: "),
    "hf config": ("hf", "config.json", cut, "got other bytes"),
    "hf tokenizer": ("hf", "tokenizer.json", empty, "got other bytes"),
}


def wide_folder(folder: Path) -> Path:
    sizes = {**SIZES, "hidden_size": 64, "intermediate_size": 96, "num_key_value_heads": 2}
    return save_folder(LlamaForCausalLM(LlamaConfig(**sizes)).eval(), folder)


@pytest.mark.parametrize("case", PACKED)
def test_a_damaged_folder(case: str, tmp_path: Path) -> None:
    name, file, damage, expected = PACKED[case]
    said = fault(
        wide_folder(tmp_path / "model"),
        tmp_path / "out",
        name,
        file or "model.safetensors",
        damage,
        param_bw=4,
        symmetric=False,
        group_size=16,
    )
    assert expected in said


@pytest.mark.parametrize(
    ("file", "damage", "expected"),
    [
        ("model.safetensors", flip_tensor(f"{QUERY}.weight"), f"{QUERY}.weight: got "),
        ("model.safetensors", flip_tensor("model.embed_tokens.weight"), "model.embed_tokens.weight: got "),
        (
            "model.safetensors",
            replace(b"model.norm.weight", b"model.mine.weight"),
            "got a tensor model.mine.weight",
        ),
        ("model.safetensors", cut, "cannot be read: "),
        ("config.json", cut, "got other bytes"),
        ("tokenizer.json", empty, "got other bytes"),
    ],
)
@pytest.mark.parametrize("tied", first(1, [True, False]))
def test_a_damaged_folder_of_a_model_in_memory(
    tied: bool, file: str, damage: Damage, expected: str, tmp_path: Path
) -> None:
    said = fault(
        tiny_llama(tied=tied), tmp_path / "out", "hf", file, damage, param_bw=4, tokenizer=tiny_tokenizer()
    )
    assert expected in said


@pytest.mark.parametrize(
    "kind", first(2, ["Q4_0", "Q4_K", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q5_K", "Q6_K"])
)
def test_a_damaged_gguf(kind: str, tmp_path: Path) -> None:
    sizes = {**SIZES, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1}
    source = save_folder(LlamaForCausalLM(LlamaConfig(**sizes, eos_token_id=0)).eval(), tmp_path / "model")
    options = {"param_bw": int(kind[1]), "symmetric": not kind.endswith("_1")}
    cases: list[tuple[Damage, str]] = [
        (flip_gguf("blk.0.attn_q.weight", at), "attn_q.weight: got ") for at in (1, 9)
    ]
    if kind == "Q4_0":
        cases += [
            (flip_gguf("blk.0.attn_norm.weight", 3), "blk.0.attn_norm.weight: got "),
            (replace(b"blk.0.attn_q.weight", b"blk.0.attn_x.weight"), "got no tensor blk.0.attn_q.weight"),
            (replace(b"llama.block_count", b"llama.block_clown"), "llama.block_count: got another value"),
            (replace(b"GGUF", b"GGUV"), "is no GGUF file"),
        ]
    for damage, expected in cases:
        said = fault(source, tmp_path / "out", f"gguf:{kind}", "model.gguf", damage, **options)
        assert expected in said


def test_a_run_goes_on_after_it(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    Vandal.file, Vandal.damage = "model.safetensors", staticmethod(cut)
    with pytest.raises(Error, match="run again with resume=True"):
        adascale.quantize(source, out, [TEXT], formats=["hf", "vandal"], param_bw=4, **QUICK)
    assert not out.exists()
    adascale.quantize(source, out, [TEXT], formats=["hf"], param_bw=4, resume=True, **QUICK)
    assert (out / "model.safetensors").exists()


ONNX: dict[str, tuple[str, dict[str, Any], str]] = {
    "qdq": ("onnx", {"param_bw": 4}, "0.weight"),
    "blocks": ("onnx", {"param_bw": 4, "group_size": 16, "symmetric": False}, "0.weight"),
    "float": ("onnx-float", {"param_bw": 4}, "0.weight"),
    "nbits": ("onnx-matmulnbits", {"param_bw": 4, "group_size": 16, "symmetric": False}, "0.weight"),
}


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("case", ONNX)
def test_a_damaged_onnx_file(
    case: str, is_large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    import torch

    name, options, weight = ONNX[case]
    monkeypatch.setattr("adascale.formats.onnx_formats.LARGEST_INLINE", 10 if is_large else 10**9)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 64)).eval()
    sim = QuantizationSimModel(model, torch.rand(2, 64), **options)
    sim.compute_encodings(lambda simulated: simulated(torch.rand(2, 64)))
    (tmp_path / "whole").mkdir()
    whole, *_ = sim.export(tmp_path / "whole", "m", formats=[name])
    stored = {tensor.name: tensor for tensor in onnx.load(whole).graph.initializer}
    raw = stored[weight].raw_data

    def exported(file: str, damage: Damage) -> str:
        Vandal.file, Vandal.damage = file, staticmethod(damage)
        with pytest.raises(Error) as error:
            sim.export(tmp_path / "out", "m", formats=[name, "vandal"])
        assert CURE in str(error.value) and not (tmp_path / "out").exists()
        return str(error.value)

    damaged = replace(raw, bytes([raw[0] ^ 1]) + raw[1:])
    assert f": {weight}: got other bytes" in exported("m.onnx.data" if is_large else "m.onnx", damaged)
    assert "got another graph" in exported("m.onnx", replace(b"adascale.version", b"adascale.vorsion"))
    assert "cannot be read" in exported("m.onnx", cut)


def test_codes_that_are_not_the_simulations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the writer, not of the disk: the file holds what was written."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    import torch

    from adascale.formats import onnx_storage

    right = onnx_storage.pack
    monkeypatch.setattr(onnx_storage, "pack", lambda values, bits: right(values, bits) ^ 1)
    sim = QuantizationSimModel(torch.nn.Linear(32, 16), torch.rand(2, 32), param_bw=4, output_bw=32)
    with pytest.raises(Error, match=r"m.onnx: .*weight: got .* at \[0, 0\], expected"):
        sim.export(tmp_path / "out", "m", formats=["onnx"])
