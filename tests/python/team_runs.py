"""What processes that torchrun starts do for test_team.py: ``team_runs.py FOLDER OUT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch.distributed as distributed
from kept_captures import keeping_captures

import adascale

SHARED: dict[str, Any] = {"samples": 16, "seq_len": 16, "batch_size": 2, "param_bw": 4, "progress": False}
CASES: dict[str, dict[str, Any]] = {
    "fast": {"iterations": 6, "accumulate": 2},
    "aimet": {"recipe": "aimet", "iterations": 3, "accumulate": 2},
    "held out": {
        "iterations": 4,
        "accumulate": 2,
        "held_out_batches": 2,
        "symmetric": False,
        "group_size": 8,
    },
    "by tensor operators": {"iterations": 3, "accumulate": 2, "group_size": 8, "decompressed_bw": 8},
    "epochs": {"epochs": 1, "accumulate": 2, "precision": "float32", "output_bw": 8},
    "more batches than are compared": {"samples": 80, "iterations": 3, "accumulate": 2},
    "embeddings": {"iterations": 3, "accumulate": 2, "train_outside": True, "outside_bw": 4},
}


def run(folder: Path, out: Path) -> None:
    for name, options in CASES.items():
        adascale.quantize(folder / "llama", out / name, folder / "text.txt", **(SHARED | options))


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    with adascale.together(), keeping_captures():
        run(Path(sys.argv[1]), Path(sys.argv[2]))
    distributed.destroy_process_group()
