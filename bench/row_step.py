"""Rows that compare CPU seconds a training step."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from figures import Figure, Outcome, Target, times_less
from turns import OURS, Measured, Settings, check_same_work, median_of, ours, run_worker, step_seconds, theirs


@dataclass(frozen=True)
class Step:
    """CPU seconds an iteration and block, against AIMET's."""

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
    """Our step against the bare matrix products of the same step, in turns. The target is on the products in
    the precision that ours runs them in; `below`, if any, is what attention could be run in besides."""

    precision: str
    linears: str
    attention: str
    target: Target
    below: str = ""

    def __call__(self, settings: Settings) -> Outcome:
        counts = (1, 3) if settings.quick else (24, 72)
        kinds = [self.attention, *([self.below] if self.below else [])]
        floors: dict[str, list[Measured]] = {kind: [] for kind in kinds}
        steps = []
        for _ in range(settings.rounds()):
            for kind, found in floors.items():
                dtypes = ["--dtype", self.linears, "--attention-dtype", kind]
                count = ["--iterations", counts[1], "--threads", settings.threads]
                found.append(run_worker(OURS, "floor.py", *dtypes, *count, threads=settings.threads))
            step = ["--warm-up", "--iterations", *counts, "--precision", self.precision]
            steps.append(ours(settings, "smollm2-block", *step))
        mine = median(step_seconds(step) for step in steps)
        figures = [self._figure(kind, floors[kind], mine) for kind in kinds]
        return Outcome(figures, measured={"floor": floors, "ours": steps})

    def _figure(self, attention: str, floors: list[Measured], mine: float) -> Figure:
        floor = median(found["step_cpu_s"] for found in floors)
        return Figure(
            f"smollm2-block, {self.precision}",
            "CPU s/iteration/block",
            mine,
            f"matmuls {self.linears}, attention's {attention}",
            floor,
            mine / floor,
            self.target if attention == self.attention else None,
        )
