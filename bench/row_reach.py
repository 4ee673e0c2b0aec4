"""Rows that compare CPU seconds to the same error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from figures import Outcome, Target, times_less
from turns import Settings, WorkerFailed, ours, plain, theirs

# Iterations tried, until one count is enough; 0 is only the clip search. Each count has its
# own calibration rows as far as they suffice: a small budget does not pay for passes over data
# that it never trains on.
LADDER = (0, 4, 8, 16, 32, 64, 96, 128, 192)


@dataclass(frozen=True)
class Reach:
    """CPU seconds to come as close to the FP model, on held-out data, as AIMET's recipe after 200 iterations.
    The error is that of the last block's output. `plain`: AIMET itself does not know the blocks."""

    workload: str
    target: Target
    plain: bool = False

    def __call__(self, settings: Settings) -> Outcome:
        in_torch = self.plain or settings.skip_aimet
        iterations = 4 if settings.quick else 200
        baseline = (plain if in_torch else theirs)(
            settings, self.workload, "--warm-up", "--iterations", iterations
        )
        wanted = baseline["runs"][0]
        ladder = ["--until-error", wanted["error"], "--iterations", *LADDER]
        mine = ours(settings, self.workload, "--warm-up", "--distinct", *ladder)
        reached = mine["runs"][-1]
        _check_same(reached, wanted)
        figure = times_less(
            f"{self.workload}: error {reached['error']:.3g} after {reached['iterations']} iterations, "
            f"{wanted['error']:.3g} after {wanted['iterations']}",
            "CPU s",
            "AIMET's recipe" if in_torch else "AIMET",
            wanted["cpu_s"],
            reached["cpu_s"],
            self.target,
        )
        if reached["error"] > wanted["error"]:
            figure.ratio = 0.0  # never reached
        return Outcome([figure], measured={"baseline": baseline, "ours": mine})


def _check_same(reached: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key in ("blocks", "layers", "bits"):
        if reached[key] != wanted[key]:
            raise WorkerFailed(f"not the same work: {reached[key]} {key} here, {wanted[key]} there")
