"""Chats with images for a model that torch.export takes whole: a line stays a batch of its own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from adascale.capture import capture
from full import first
from small_folders import tiny_tokenizer, write_jsonl
from test_live_vision_doors import chat
from torch import Tensor
from transformers import AutoProcessor, LlavaConfig, LlavaForConditionalGeneration

import adascale

IMAGE = 310  # a token id; an image is as many of them as it has patches
FEW: dict[str, Any] = {"iterations": 2, "progress": False, "param_bw": 3}
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
TEXT = {**SIZES, "num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 320, "use_cache": False}
VISION = {**SIZES, "num_hidden_layers": 3, "image_size": 8, "patch_size": 4}
LAYERS = [f"model.language_model.layers.{i}" for i in range(2)]
TOWERS = [f"model.vision_tower.encoder.layers.{i}" for i in range(3)]


def llava() -> LlavaForConditionalGeneration:
    text, vision = {"model_type": "llama", **TEXT}, {"model_type": "clip_vision_model", **VISION}
    config = LlavaConfig(text_config=text, vision_config=vision, image_token_id=IMAGE)
    return LlavaForConditionalGeneration(config).eval()


class Processor(SimpleNamespace):
    """Makes four image tokens of each image, and a token of each word of four letters or more."""

    def apply_chat_template(self, messages: Any, **_: Any) -> dict[str, Tensor]:
        parts = [part for message in messages for part in message["content"]]
        words = [len(word) for part in parts for word in part.get("text", "").split() if len(word) > 3]
        images = sum(part["type"] == "image" for part in parts)
        ids = torch.tensor([[1, *[IMAGE] * 4 * images, *words]])
        pixels = {"pixel_values": torch.randn(images, 3, 8, 8)} if images else {}
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pixels}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = Processor(tokenizer=tiny_tokenizer(), image_processor="PIL")
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *_args, **_options: made)
    llava().save_pretrained(tmp_path / "model")
    made.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_it_is_such_a_model() -> None:
    capture(llava(), Processor().apply_chat_template([{"content": [{"type": "image"}]}]))


LINES = {
    "of one shape": [("0.png", "some more"), ("0.png", "four more"), ("0.png", "less here")],
    "of different lengths": [("0.png", "some"), ("0.png", "some more words"), ("0.png", "more words")],
    "without an image": [(None, "some more words"), ("0.png", "words"), (None, "words")],
    "a single one": [("0.png", "some words")],
}


@pytest.mark.parametrize("lines", first(1, LINES))
def test_lines_are_neither_joined_nor_cut(
    lines: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    data = write_jsonl(tmp_path / "chats.jsonl", [chat(*line) for line in LINES[lines]])
    report = adascale.quantize(folder, tmp_path / "out", data, **FEW)
    assert [block.name for block in report.blocks] == TOWERS + LAYERS
    count = len(LINES[lines])
    said = capsys.readouterr().out
    samples = "sample" if count == 1 else "samples"
    assert f"{count} {samples}, {count} batch" in said and f"{count} batches of" not in said
    assert "block by block, all else runs live in full precision: each batch is given as it is, but" in said
    with pytest.raises(adascale.Error, match="^batch_size: got 2, but the data comes in batches that cannot"):
        adascale.quantize(folder, tmp_path / "no", data, batch_size=2, **FEW)
