"""Runs workers one after the other, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
OURS = ROOT / ".venv" / "bin" / "python"
AIMETS = BUILD / "venv" / "bin" / "python"

Measured = dict[str, Any]


class WorkerFailed(Exception):
    """The last line of its error output; the log has all of it."""


@dataclass(frozen=True)
class Settings:
    """The command line's settings for all rows."""

    threads: int = 1
    turns: int = 3
    quick: bool = False
    skip_aimet: bool = False
    kernels: Path = ROOT / "build" / "release" / "bench" / "bench_kernels"

    def rounds(self) -> int:
        return 1 if self.quick else self.turns


def run_worker(
    python: Path, script: str, *args: object, threads: int = 1, site: Path | None = None
) -> Measured:
    """The JSON that bench/SCRIPT prints as its last line. site: a folder in which Python looks for packages
    first."""
    command = [str(python), "-W", "ignore", str(ROOT / "bench" / script), *map(str, args)]
    return json.loads(output_of(command, threads, site).rstrip().rsplit("\n", 1)[-1])


def ours(settings: Settings, workload: str, *args: object) -> Measured:
    return _work(OURS, "worker_ours.py", settings, workload, args)


def theirs(settings: Settings, workload: str, *args: object) -> Measured:
    return _work(AIMETS, "worker_aimet.py", settings, workload, args)


def plain(settings: Settings, workload: str, *args: object) -> Measured:
    return _work(OURS, "worker_plain.py", settings, workload, args)


def _work(python: Path, script: str, settings: Settings, workload: str, args: tuple[object, ...]) -> Measured:
    common = ("--workload", workload, "--threads", settings.threads)
    return run_worker(python, script, *common, *args, threads=settings.threads)


def output_of(command: list[str], threads: int, site: Path | None = None) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    if site is not None:
        environment["PYTHONPATH"] = str(site)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    with (BUILD / "log.txt").open("a") as log:
        log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise WorkerFailed(lines[-1] if lines else f"exit code {done.returncode}")
    return done.stdout


def check_same_work(ours: Measured, theirs: Measured) -> None:
    """Fails unless both trained as many layers in as many blocks, with the same bits, data and budgets."""
    for key in ("blocks", "layers", "bits", "batches", "iterations"):
        mine, other = ([run[key] for run in worker["runs"]] for worker in (ours, theirs))
        if mine != other:
            raise WorkerFailed(f"not the same work: {key} {mine} here, {other} there")


def step_seconds(worker: Measured) -> float:
    """CPU seconds per iteration and block, from two counts of iterations: shared costs cancel if both
    results were kept, for ours trains again where training did not help."""
    short, long = worker["runs"]
    if short["kept"] != long["kept"]:
        raise WorkerFailed(f"{short['iterations']} iterations are too few: {short['kept']} blocks kept them")
    return (long["cpu_s"] - short["cpu_s"]) / (long["iterations"] - short["iterations"]) / long["blocks"]


def median_of(values: Sequence[float]) -> float | None:
    return median(values) if values else None
