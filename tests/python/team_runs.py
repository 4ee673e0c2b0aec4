"""What processes that torchrun starts do for test_team.py: ``team_runs.py FOLDER OUT``.

The second process is late to read the last block of the first run, which must still be there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch.distributed as distributed
from kept_captures import keeping_captures
from torch import Tensor

import adascale
from adascale import processes

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


class LateExchange(processes._Exchange):
    """Sleeps once, when the first process has written a block."""

    block: Path

    def add(self, tensors: Sequence[Tensor]) -> str | None:
        said = super().add(tensors)
        if self.block.exists():
            print("the second process is late", flush=True)
            time.sleep(1)
            self.block = Path("/slept")
        return said


if __name__ == "__main__":
    folder, out = map(Path, sys.argv[1:])
    LateExchange.block = out / "fast.checkpoint" / "block-00001.safetensors"  # the last
    distributed.init_process_group("gloo")
    exchange = LateExchange if distributed.get_rank() == 1 else processes._Exchange
    with patch.object(processes, "_Exchange", exchange), adascale.together(), keeping_captures():
        run(folder, out)
    distributed.destroy_process_group()
