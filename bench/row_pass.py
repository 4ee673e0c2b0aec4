"""The row of the kernels: Google Benchmark's figures, the pass against a copy."""

from __future__ import annotations

import json
import os

from figures import Figure, Outcome, at_least
from turns import Measured, Settings, output_of

# The pass that the target is about: that of the default recipe, for a block in fp32.
JUDGED = "pass/signed/channel/fp32/threads:1"


def run_pass(settings: Settings) -> Outcome:
    """The weight pass in bytes per second, counted like the copy's: bytes read and bytes written."""
    entries = {entry["run_name"].removesuffix("/real_time"): entry for entry in run_kernels(settings)}
    figures = []
    for name in sorted(entries):
        if name.startswith("pass/"):
            copy = _rate(entries["copy/past_caches/" + name.rsplit("/", 1)[1]])
            rate = _rate(entries[name])
            target = at_least(0.8) if name == JUDGED else None
            figures.append(Figure(name, "GB/s", rate, "copy", copy, rate / copy, target))
        else:
            figures.append(Figure(name, "ms", entries[name]["real_time"]))
    return Outcome(figures, measured={"benchmarks": list(entries.values())})


def run_kernels(settings: Settings) -> list[Measured]:
    """Google Benchmark's entries; medians where there are repetitions, which run in turns."""
    repetitions = 1 if settings.quick else 5
    options = {
        "format": "json",
        "min_time": 0.01 if settings.quick else 0.1,
        "repetitions": repetitions,
        "enable_random_interleaving": "true",
    }
    flags = [f"--benchmark_{name}={value}" for name, value in options.items()]
    output = output_of([str(settings.kernels), *flags], threads=os.cpu_count() or 1)
    wanted = "median" if repetitions > 1 else None
    return [entry for entry in json.loads(output)["benchmarks"] if entry.get("aggregate_name") == wanted]


def _rate(entry: Measured) -> float:
    return entry["bytes_per_second"] / 1e9
