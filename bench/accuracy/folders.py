"""Where the models of the accuracy table are."""

from __future__ import annotations

from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent.parent
SMOLLM2 = ROOT / "bench" / "data" / "smollm2"  # bench/prepare.py makes it
WORK = ROOT / "build" / "accuracy"


def folder_of(model: str) -> Path:
    return {"smollm2": lambda: SMOLLM2, "one_block": _one_block}[model]()


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
