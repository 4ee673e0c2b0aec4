"""README.md, the model card of a folder: what it says, keeps of the original's, and never touches."""

import json
from pathlib import Path
from typing import Any

import pytest
from forked_command import run
from huggingface_hub import ModelCard, metadata_load
from small_folders import QUICK, TEXT, llama_folder, tiny_llama, tiny_tokenizer, write_text

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

OLD_CARD = """---
license: other
license_name: tiny-licence
language: [en, no]
tags: [tiny]
base_model: someone/older
model-index: [{name: tiny, results: []}]
---
# Tiny
Its results: 99 %.
"""


def card_of(out: Path) -> tuple[dict[str, Any], str]:
    text = (out / "README.md").read_text(encoding="utf-8")
    return metadata_load(out / "README.md") or {}, text


def test_the_hub_reads_it(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "tiny"), tmp_path / "out"
    (source / "README.md").write_text(OLD_CARD)
    (source / "LICENSE").write_text("do as you like")
    adascale.quantize(source, out, [TEXT], param_bw=3, group_size=16, **QUICK)
    data, text = card_of(out)
    assert data == {
        "license": "other",
        "license_name": "tiny-licence",
        "language": ["en", "no"],
        "library_name": "transformers",
        "tags": ["tiny", "adascale"],
    }
    assert ModelCard(text).text.startswith("<!-- adascale model card")
    assert "99 %" not in text and "tiny-licence, as the original" in text
    assert (out / "LICENSE").read_text() == "do as you like"
    assert (source / "README.md").read_text() == OLD_CARD
    assert "| Weights | 14 layers with int3 symmetric" in text
    assert 'adascale.quantize("tiny", "out", data, param_bw=3, group_size=16, iterations=2, ' in text
    assert "from_pretrained('.')" in text
    report = json.loads((out / "report.json").read_text())
    assert report["summary"]["verdict"] in text
    assert "README.md" not in report["formats"][0]["files"]


@pytest.mark.parametrize("format_name", ["compressed-tensors", "gptq"])
def test_packed_folders_have_one(format_name: str, tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "tiny"), tmp_path / "out"
    (source / "README.md").write_text(OLD_CARD)
    adascale.quantize(source, out, [TEXT], formats=[format_name], group_size=16, **QUICK)
    data, text = card_of(out)
    assert data["license_name"] == "tiny-licence" and "vllm serve ." in text and "99 %" not in text


def test_the_command_is_in_it(tmp_path: Path) -> None:
    source, out, data = (
        llama_folder(tmp_path / "tiny"),
        tmp_path / "out",
        write_text(tmp_path / "my text.txt"),
    )
    line = [
        *("quantize", source, "--data", data, "--output-dir", out, "--iterations=2", "--samples=6"),
        *("--seq-len=16", "--checkpoint-dir", tmp_path / "kept", "--no-symmetric", "--held-out-batches=1"),
        *("--batch-size=2", "--format=hf", "--device=cpu"),
    ]
    done = run(*line)
    assert done.returncode == 0, done.stderr
    assert f"{out}/README.md" in done.stdout.split("files ")[1].split("\n")[0]
    text = card_of(out)[1]
    assert (
        "adascale quantize tiny --data 'my text.txt' --no-symmetric --iterations 2 --held-out-batches 1 "
        "--samples 6 --seq-len 16 --batch-size 2 --format hf --output-dir out\n" in text
    )
    assert str(tmp_path) not in text
    assert "The same on batches that training did not see" in text
    assert "No licence is named. Look it up" in text and metadata_load(out / "README.md") == {
        "library_name": "transformers",
        "tags": ["adascale"],
    }


def test_a_readme_of_the_users_stays(tmp_path: Path) -> None:
    source, out = llama_folder(tmp_path / "tiny"), tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("mine")
    with pytest.raises(adascale.Error, match=r"out/README.md: is no model card of adascale and would be"):
        adascale.quantize(source, out, [TEXT], **QUICK)
    assert (out / "README.md").read_text() == "mine" and len(list(out.iterdir())) == 1
    (out / "README.md").unlink()
    adascale.quantize(source, out, [TEXT], param_bw=4, **QUICK)
    adascale.quantize(source, out, [TEXT], param_bw=3, **QUICK)  # its own is written anew
    assert "int3" in card_of(out)[1] and "int4" not in card_of(out)[1]


def test_our_card_of_the_source_is_no_companion(tmp_path: Path) -> None:
    source, first, second = llama_folder(tmp_path / "tiny"), tmp_path / "first", tmp_path / "second"
    (source / "README.md").write_text(OLD_CARD)
    adascale.quantize(source, first, [TEXT], param_bw=4, **QUICK)
    adascale.quantize(first, second, [TEXT], param_bw=3, **QUICK)
    data, text = card_of(second)
    assert data["license_name"] == "tiny-licence" and data["tags"] == ["tiny", "adascale"]
    assert "int4" not in text


def test_the_name_on_the_hub(tmp_path: Path) -> None:
    cached = tmp_path / "models--maker--tiny" / "snapshots" / "0123abc"
    adascale.quantize(llama_folder(cached), tmp_path / "out", [TEXT], **QUICK)
    data, text = card_of(tmp_path / "out")
    assert data["base_model"] == "maker/tiny" and data["base_model_relation"] == "quantized"
    assert "[maker/tiny](https://huggingface.co/maker/tiny)" in text


@pytest.mark.parametrize("name", ["maker/other", "gpt-of-old"])
def test_a_name_of_the_hub_is_looked_up_in_its_cache(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    model = tiny_llama()
    model.name_or_path = name
    adascale.quantize(model, tmp_path / "gone", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    assert "base_model" not in card_of(tmp_path / "gone")[0]  # a path that is gone, as far as anybody knows
    held = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    files = llama_folder(held / "snapshots" / "0123abc")
    (held / "refs").mkdir()
    (held / "refs" / "main").write_text("0123abc")
    (files / "README.md").write_text(OLD_CARD)
    (files / "LICENSE").write_text("do as you like")
    adascale.quantize(model, tmp_path / "saved", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    data, text = card_of(tmp_path / "saved")
    assert data["base_model"] == name and data["license_name"] == "tiny-licence"
    assert 'adascale.quantize(model, "out", data, ' in text
    assert "tiny-licence, as the original. Of the original beside this file: LICENSE." in text
    assert (tmp_path / "saved" / "LICENSE").read_text() == "do as you like"
    (files / "LICENSE").unlink()  # from_pretrained fetches none
    adascale.quantize(model, tmp_path / "bare", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    assert "tiny-licence, as the original. Its text is not in this folder." in card_of(tmp_path / "bare")[1]


def test_a_saved_model_brings_its_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(llama_folder(tmp_path / "tiny"))  # not the model's, which has no name
    Path("LICENSE").write_text("the folder's")
    Path("README.md").write_text(OLD_CARD)
    model = tiny_llama()
    adascale.quantize(model, tmp_path / "none", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    assert not (tmp_path / "none" / "LICENSE").exists() and "license" not in card_of(tmp_path / "none")[0]
    model.name_or_path = str(tmp_path / "tiny")
    adascale.quantize(model, tmp_path / "out", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    assert (tmp_path / "out" / "LICENSE").read_text() == "the folder's"
    assert card_of(tmp_path / "out")[0]["license_name"] == "tiny-licence"
    (tmp_path / "out" / "LICENSE").write_text("mine")
    with pytest.raises(adascale.Error, match=r"out/LICENSE: is not the original's and would be overwritten"):
        adascale.quantize(model, tmp_path / "out", [TEXT], tokenizer=tiny_tokenizer(), **QUICK)
    assert (tmp_path / "out" / "LICENSE").read_text() == "mine"


def test_a_broken_card_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = llama_folder(tmp_path / "tiny")
    (source / "README.md").write_text("---\nlicense: [mit\n---\n")
    adascale.quantize(source, tmp_path / "out", [TEXT], **QUICK)
    assert "the model card keeps no licence and no tags" in capsys.readouterr().out
    assert "license" not in card_of(tmp_path / "out")[0]


def test_tags_that_are_no_names_are_text(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "tiny")
    (source / "README.md").write_text("---\ntags: [{a: b}, c]\n---\n")
    adascale.quantize(source, tmp_path / "out", [TEXT], **QUICK)
    assert card_of(tmp_path / "out")[0]["tags"] == ["{'a': 'b'}", "c", "adascale"]


def test_names_are_text(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "a|b <img src=x> `c`")
    adascale.quantize(source, tmp_path / "out", [TEXT], **QUICK)
    text = card_of(tmp_path / "out")[1]
    assert "a\\|b \\<img src=x\\> \\`c\\`, quantized" in text and "<img" not in text.replace("\\<img", "")
    assert 'adascale.quantize("MODEL", "out", data' in text


def test_only_folders_have_one(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "tiny")
    adascale.quantize(source, tmp_path / "out", [TEXT], formats=["pt2", "safetensors"], **QUICK)
    assert not (tmp_path / "out" / "README.md").exists()
