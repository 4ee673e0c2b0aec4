"""Rows that compare CPU seconds per training step."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from figures import Figure, Outcome, Target, times_less
from turns import OURS, Measured, Settings, check_same_work, median_of, ours, run_worker, step_seconds, theirs


@dataclass(frozen=True)
class Step:
    """CPU seconds per iteration and block, against AIMET's, and where `bare` is set against PyTorch's bare
    step of the same block, too.

    A block whose operators are most of AIMET's step can be faster than AIMET by so much only; `bare` is then
    the bound, and `target` is none.
    """

    workload: str
    counts: tuple[int, int]
    target: Target | None
    precision: str = "auto"
    bare: Target | None = None

    def __call__(self, settings: Settings) -> Outcome:
        counts = (1, 3) if settings.quick else self.counts
        args = ["--warm-up", "--iterations", *counts]
        measured: dict[str, list[Measured]] = {"aimet": [], "ours": []}
        steps: list[float] = []
        for _ in range(settings.rounds()):
            if self.bare:
                steps.append(bare_step(settings, self.workload))
            if not settings.skip_aimet:
                measured["aimet"].append(theirs(settings, self.workload, *args))
            measured["ours"].append(ours(settings, self.workload, *args, "--precision", self.precision))
            if measured["aimet"]:
                check_same_work(measured["ours"][-1], measured["aimet"][-1])
        seconds = {name: [step_seconds(worker) for worker in workers] for name, workers in measured.items()}
        work, unit, mine = (
            f"{self.workload}, {self.precision}",
            "CPU s/iteration/block",
            median(seconds["ours"]),
        )
        figures = [times_less(work, unit, "AIMET", median_of(seconds["aimet"]), mine, self.target)]
        if self.bare:
            bare = median(steps)
            figures.append(Figure(work, unit, mine, "PyTorch's bare step", bare, mine / bare, self.bare))
        return Outcome(figures, measured={**measured, "step_cpu_s": seconds, "bare_step_cpu_s": steps})


def bare_step(settings: Settings, block: str) -> float:
    """CPU seconds of a block's forward and gradients with nothing quantized."""
    count = ["--iterations", 3 if settings.quick else 300, "--threads", settings.threads]
    return run_worker(OURS, "bare_step.py", block, *count, threads=settings.threads)["step_cpu_s"]


@dataclass(frozen=True)
class Floor:
    """Our step against the bare matrix products of the same step, in the dtype that ours runs them in; in
    turns."""

    precision: str
    dtype: str
    target: Target

    def __call__(self, settings: Settings) -> Outcome:
        counts = (1, 3) if settings.quick else (24, 72)
        floors, steps = [], []
        for _ in range(settings.rounds()):
            count = ["--iterations", counts[1], "--threads", settings.threads]
            floors.append(
                run_worker(OURS, "floor.py", "--dtype", self.dtype, *count, threads=settings.threads)
            )
            step = ["--warm-up", "--iterations", *counts, "--precision", self.precision]
            steps.append(ours(settings, "smollm2-block", *step))
        mine = median(step_seconds(step) for step in steps)
        floor = median(found["step_cpu_s"] for found in floors)
        figure = Figure(
            f"smollm2-block, {self.precision}",
            "CPU s/iteration/block",
            mine,
            f"matmuls {self.dtype}",
            floor,
            mine / floor,
            self.target,
        )
        return Outcome([figure], measured={"floor": floors, "ours": steps})
