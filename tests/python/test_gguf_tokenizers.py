"""What a GGUF has no key for in a tokenizer is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from gguf_folders import llama, objection
from small_folders import QUICK, TEXT

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

LOWER, NFC = {"type": "Lowercase"}, {"type": "NFC"}
NORMALIZERS: list[tuple[Any, str]] = [
    (None, ""),
    (NFC, ""),
    ({"type": "Sequence", "normalizers": []}, ""),
    ({"type": "Sequence", "normalizers": [NFC]}, ""),
    (LOWER, "normalizes text by Lowercase, which a GGUF has no key for"),
    ({"type": "Sequence", "normalizers": [NFC, LOWER]}, "normalizes text by Lowercase"),
]


def with_tokenizer(folder: Path, part: str, **settings: Any) -> Path:
    """A Llama whose tokenizer has these settings in a part of its description."""
    source = llama(folder)
    path = source / "tokenizer.json"
    described = json.loads(path.read_text())
    described[part] = (described[part] or {}) | settings
    path.write_text(json.dumps(described))
    return source


def test_merges_that_the_pre_tokenizer_does_not_imply(tmp_path: Path) -> None:
    source = with_tokenizer(tmp_path / "model", "model", ignore_merges=True)
    said = objection(source, tmp_path, ["gguf"], param_bw=4)
    assert "has ignore_merges true, and what llama.cpp calls gpt-2 implies false" in said


def test_a_pre_tokenizer_without_a_name(tmp_path: Path) -> None:
    source = with_tokenizer(tmp_path / "model", "pre_tokenizer", type="Whitespace")
    said = objection(source, tmp_path, ["gguf"], param_bw=4)
    assert "splits text in a way that has no name here (Whitespace)" in said


def test_a_space_before_the_text(tmp_path: Path) -> None:
    source = with_tokenizer(tmp_path / "model", "pre_tokenizer", add_prefix_space=True)
    assert "words after a space of its own" in objection(source, tmp_path, ["gguf"], param_bw=4)


@pytest.mark.parametrize(("normalizer", "text"), NORMALIZERS)
def test_normalizers(normalizer: Any, text: str, tmp_path: Path) -> None:
    source = llama(tmp_path / "model")
    path = source / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": normalizer}))
    if text:
        assert text in objection(source, tmp_path, ["gguf"], param_bw=4)
    else:
        adascale.quantize(source, tmp_path / "out", [TEXT], formats=["gguf"], **{**QUICK, "param_bw": 4})
