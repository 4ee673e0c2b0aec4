"""Rows that compare CPU seconds per training step."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from figures import Figure, Outcome, Target, times_less
from turns import OURS, Measured, Settings, check_same_work, median_of, ours, run_worker, step_seconds, theirs


@dataclass(frozen=True)
class Step:
    """CPU seconds per iteration and block, against AIMET's."""

    workload: str
    counts: tuple[int, int]
    target: Target
    precision: str = "auto"

    def __call__(self, settings: Settings) -> Outcome:
        counts = (1, 3) if settings.quick else self.counts
        args = ["--warm-up", "--iterations", *counts]
        measured: dict[str, list[Measured]] = {"aimet": [], "ours": []}
        for _ in range(settings.rounds()):
            if not settings.skip_aimet:
                measured["aimet"].append(theirs(settings, self.workload, *args))
            measured["ours"].append(ours(settings, self.workload, *args, "--precision", self.precision))
            if measured["aimet"]:
                check_same_work(measured["ours"][-1], measured["aimet"][-1])
        seconds = {name: [step_seconds(worker) for worker in workers] for name, workers in measured.items()}
        figure = times_less(
            f"{self.workload}, {self.precision}",
            "CPU s/iteration/block",
            "AIMET",
            median_of(seconds["aimet"]),
            median(seconds["ours"]),
            self.target,
        )
        return Outcome([figure], measured={**measured, "step_cpu_s": seconds})


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
