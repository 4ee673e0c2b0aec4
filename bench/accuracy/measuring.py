"""Measures a cell: its method quantizes in a process of its own, another one judges the weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from cells import REFERENCE, Cell
from environments import python_of
from safetensors.torch import save_file
from subjects import SUBJECTS, WORK
from torch import Tensor

HERE = Path(__file__).parent
Rows = dict[str, Any]  # for calibration, and of each held-out set, by their names


def make_rows(model: str) -> Rows:
    subject = SUBJECTS[model]
    return subject.data.make_rows(subject.folder())


def measure(cell: Cell, rows: Rows) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        cost = quantize(cell, rows, Path(folder))
        return {**cost, "scores": judge(cell, rows, Path(folder))}


def measure_reference(device: str) -> float:
    """Seconds of the cell that each machine runs first, of its second run: AutoRound compiles in one."""
    cell = replace(REFERENCE, device=device)
    rows = make_rows(cell.model)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        quantize(cell, rows, Path(folder))
        return seconds_of(cell, quantize(cell, rows, Path(folder)))


def seconds_of(cell: Cell, cost: dict[str, Any]) -> float:
    """Of one thread, or on a GPU of the clock."""
    return float(cost["cpu_s" if cell.device == "cpu" else "wall_s"])


def quantize(cell: Cell, rows: Rows, out: Path) -> dict[str, Any]:
    """Leaves weights.safetensors in ``out``; costs and versions."""
    calibration, there = out / "rows.safetensors", len(rows["calibration"])
    assert there >= cell.rows, f"{cell.key()} asks for {cell.rows} rows, and there are {there}"
    subject = SUBJECTS[cell.model]
    save_file({"rows": in_order(rows["calibration"][: cell.rows], cell.seed)}, calibration)
    task = {
        "model": str(subject.folder()),
        "kind": subject.kind,
        "block": subject.block,
        "rows": str(calibration),
        "out": str(out),
        "bits": cell.grid.bits,
        "group_size": cell.grid.group_size,
        "symmetric": cell.grid.symmetric,
        "target_bits": cell.grid.target_bits,
        "gguf": cell.grid.gguf,
        "only": cell.grid.layers,
        "floats": cell.grid.floats,
        "activation_bits": cell.grid.activation_bits,
        **{name: getattr(cell, name) for name in ("iterations", "samples", "variant", "device", "seed")},
    }
    _run(python_of(cell), HERE / f"by_{cell.method}.py", json.dumps(task))
    return json.loads((out / "cost.json").read_text())


def in_order(rows: Tensor, seed: int) -> Tensor:
    """The same rows in the seed's order; with 0 in their own."""
    if seed == 0:
        return rows.contiguous()
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]


def judge(cell: Cell, rows: Rows, out: Path) -> dict[str, Any]:
    weights, held_out = out / "weights.safetensors", out / "held_out.safetensors"
    subject = SUBJECTS[cell.model]
    save_file({name: rows[name] for name in subject.data.held_out}, held_out)
    said = _run(
        sys.executable,
        HERE / "judge.py",
        subject.folder(),
        subject.kind,
        cell.grid.layers,
        str(cell.grid.activation_bits),
        weights,
        held_out,
        cell.device,
    )
    return json.loads(said.strip().splitlines()[-1])


def _run(python: str | Path, *arguments: str | Path) -> str:
    """What the script printed; its last line of errors if it failed. All errors are in log.txt."""
    log = WORK / "log.txt"
    with log.open("a") as errors:
        print(f"== {arguments[0]}", file=errors, flush=True)
        done = subprocess.run(
            [python, "-W", "ignore", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": str(WORK / "inductor")},
        )
    if done.returncode != 0:
        last = log.read_text().strip().splitlines()[-1]
        raise RuntimeError(f"exit status {done.returncode}: {last[:300]} ({log} has all)")
    return done.stdout
