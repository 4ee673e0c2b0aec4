"""The row of models that grow."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from figures import Figure, Outcome, ratio_at_most
from turns import Measured, Settings, ours

BLOCKS = (2, 4, 8, 16)


def run_growth(settings: Settings) -> Outcome:
    """Equal blocks, more and more of them, on one thread. Memory is the peak above what is left when training
    has ended: weights folded in place, and their codes."""
    iterations = 4 if settings.quick else 64
    one_thread = replace(settings, threads=1)
    runs: dict[int, list[Measured]] = {count: [] for count in BLOCKS}
    for _ in range(settings.rounds()):
        for count, found in runs.items():
            worker = ours(one_thread, f"growth-{count}", "--in-place", "--iterations", iterations)
            found.append(worker["runs"][0])
    seconds = {count: median(run["cpu_s"] for run in found) / count for count, found in runs.items()}
    memory = {count: median(run["training_mib"] for run in found) for count, found in runs.items()}
    return Outcome(
        [_spread("CPU s a block", "CPU s", seconds), _spread("training memory", "MiB", memory)],
        measured={"runs": runs},
    )


def _spread(work: str, unit: str, values: dict[int, float]) -> Figure:
    """The largest value against the least; ours is the longest model's, the baseline the shortest's."""
    first, last = min(values), max(values)
    ratio = max(values.values()) / min(values.values())
    return Figure(
        f"{work}, {last} blocks",
        unit,
        values[last],
        f"{first} blocks",
        values[first],
        ratio,
        ratio_at_most(1.25),
    )
