"""A transformers folder goes in and the same folder comes out, its weights on their grid."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_command import run
from full import first
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_folders import (
    QUICK,
    SIZES,
    TEXT,
    llama_folder,
    save_folder,
    tiny_tokenizer,
    write_text,
)
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

FOLDERS: dict[str, dict[str, Any]] = {
    "bf16": {"dtype": torch.bfloat16},
    "sharded": {"max_shard_size": "20KB"},
    "plain": {},
    "tied": {"tied": True},
    "fp16": {"dtype": torch.float16},
}


REPORTS = {Path("report.json"), Path("report.html"), Path("README.md")}


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: t for shard in folder.glob("*.safetensors") for name, t in load_file(shard).items()}


def is_decoder_linear(name: str) -> bool:
    return "_proj" in name


@pytest.mark.parametrize("kind", first(2, FOLDERS))
def test_the_folder_comes_out_with_our_logits(kind: str, tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model", **FOLDERS[kind]), tmp_path / "out"
    report = adascale.quantize(
        source, out, write_text(tmp_path / "a.txt"), formats=["hf", "pt2"], param_bw=4, **QUICK
    )
    assert len(report.blocks) == 2 and report.blocks[0].iterations == 2
    assert len({path.stat().st_mode for path in out.iterdir()}) == 1  # none for the owner alone
    ids = torch.tensor([AutoTokenizer.from_pretrained(out)(TEXT)["input_ids"][:16]] * 2)
    logits = AutoModelForCausalLM.from_pretrained(out).eval()(ids).logits
    ours = torch.export.load(out / "model.pt2").module()(ids).logits
    assert logits.dtype == ours.dtype == FOLDERS[kind].get("dtype", torch.float32)
    exact = {torch.float32: 1e-5, torch.bfloat16: 0.04, torch.float16: 5e-3}[logits.dtype]
    torch.testing.assert_close(logits, ours, rtol=exact, atol=exact)


@pytest.mark.parametrize("kind", first(2, FOLDERS))
def test_only_the_blocks_weights_change(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = llama_folder(tmp_path / "model", **FOLDERS[kind]), tmp_path / "out"
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text("{}")
    (source / "pytorch_model.bin").write_bytes(b"not ours")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    adascale.quantize(source, out, [TEXT], param_bw=4, **QUICK)
    said = capsys.readouterr().out
    assert "texts are packed into samples of 16 tokens" in said
    assert "hf leaves out the folder's other weights: pytorch_model.bin" in said
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before

    names = {path.relative_to(source) for path in before} - {Path("pytorch_model.bin")}
    assert {path.relative_to(out) for path in out.rglob("*") if path.is_file()} == names | REPORTS
    for name in names:
        if name.suffix != ".safetensors":
            assert (out / name).read_bytes() == (source / name).read_bytes()
        else:
            with safe_open(source / name, "pt") as old, safe_open(out / name, "pt") as new:
                assert list(old.keys()) == list(new.keys()) and old.metadata() == new.metadata()
    assert len(json.loads((out / "report.json").read_text())["adascale.plan"]) == 40
    old, new = stored(source), stored(out)
    for name, tensor in new.items():
        assert tensor.dtype == old[name].dtype
        assert torch.equal(tensor, old[name]) is not is_decoder_linear(name), name
        if is_decoder_linear(name):
            assert max(len(row.unique()) for row in tensor) <= 16


def test_an_earlier_runs_metadata_is_not_kept(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    earlier = {"format": "pt", "adascale.plan": "0" * 40, "adascale.seed": "7"}
    save_file(stored(source), source / "model.safetensors", metadata=earlier)
    adascale.quantize(source, out, [TEXT], **QUICK)
    with safe_open(out / "model.safetensors", "pt") as shard:
        assert shard.metadata() == {"format": "pt"}


def test_a_base_model_of_a_head_s_folder(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaModel"]}))
    adascale.quantize(source, out, [TEXT], packing="packed", **QUICK)
    assert stored(out).keys() == stored(source).keys()
    assert all(torch.equal(t, stored(out)[n]) is not is_decoder_linear(n) for n, t in stored(source).items())
    AutoModel.from_pretrained(out)


def test_experts_are_exported_and_stored_as_they_were(tmp_path: Path) -> None:
    from transformers import MixtralConfig, MixtralForCausalLM

    config = MixtralConfig(**SIZES, num_local_experts=4)
    source, out = save_folder(MixtralForCausalLM(config), tmp_path / "model"), tmp_path / "out"
    adascale.quantize(source, out, [TEXT], formats=["hf", "pt2"], **QUICK)
    assert stored(out).keys() == stored(source).keys()
    ids = torch.tensor([tiny_tokenizer()(TEXT)["input_ids"][:16]] * 2)
    logits = AutoModelForCausalLM.from_pretrained(out).eval()(ids).logits
    ours = torch.export.load(out / "model.pt2").module()(ids).logits
    torch.testing.assert_close(logits, ours, rtol=1e-4, atol=1e-4)
    assert "_experts_implementation" not in (out / "config.json").read_text()


def test_activations_get_their_encodings_beside_the_folder(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    adascale.quantize(source, out, [TEXT], output_bw=16, **QUICK)
    encodings = json.loads((out / "model_torch.encodings").read_text())
    assert encodings["activation_encodings"] and (out / "model.safetensors").exists()


def test_outside_bits_reach_a_tied_head(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model", tied=True), tmp_path / "out"
    adascale.quantize(source, out, [TEXT], outside_bw=8, **QUICK)
    name = "model.embed_tokens.weight"
    assert not torch.equal(stored(out)[name], stored(source)[name])
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()


def test_the_command(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "model"), tmp_path / "out"
    text = write_text(tmp_path / "a.txt")
    inspected = run("inspect", source)
    assert inspected.returncode == 0, inspected.stderr
    assert "model.layers.1" in inspected.stdout and "input_ids" in inspected.stdout
    sizes = ["--samples", 6, "--seq-len", 16, "--batch-size", 2]
    made = run("quantize", source, "--data", text, "--output-dir", out, "--iterations", 2, *sizes)
    assert made.returncode == 0, made.stderr
    assert "6 samples, 3 batches of 2" in made.stdout and "lm_head (Linear): outside" in made.stdout
    evaluated = run("evaluate", source, out, "--data", text, *sizes)
    assert evaluated.returncode == 0, evaluated.stderr
    assert "6 samples; weights alone" in evaluated.stdout
    row = evaluated.stdout.splitlines()[-1].split()
    assert float(row[1]) > 0 and float(row[-1]) > 1 and float(row[-2]) > 1
    assert "hf " in run("list", "formats").stdout


def test_the_command_and_the_call_write_the_same_bytes(tmp_path: Path) -> None:
    source, text = llama_folder(tmp_path / "model"), write_text(tmp_path / "a.txt")
    flags = ["--iterations", 2, "--samples", 6, "--seq-len", 16, "--batch-size", 2, "--threads", 1]
    assert run("quantize", source, "--data", text, "--output-dir", tmp_path / "a", *flags).returncode == 0
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        adascale.quantize(source, tmp_path / "b", text, **QUICK)
    finally:
        torch.set_num_threads(threads)
    for path in (tmp_path / "a").iterdir():
        assert without_the_call(path) == without_the_call(tmp_path / "b" / path.name), path.name


def without_the_call(path: Path) -> bytes:
    """The model card has the very line that made it: the command or Python's."""
    return b"\n".join(line for line in path.read_bytes().split(b"\n") if not line.startswith(b"adascale"))
