"""Times an earlier commit's adascale and this tree's in turns on the same workloads; prints here / base.

`scripts/bench --against COMMIT` builds the commit and starts this.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from machine import describe_commit, describe_machine
from turns import BUILD, OURS, ROOT, run_worker, step_seconds

ALLOWED = 1.03
STEPS = {  # a row's name: its workload, two counts of iterations, the precision
    "block-fp32": ("smollm2-block", (24, 72), "float32"),
    "block-best": ("smollm2-block", (24, 72), "auto"),
    "linear4096": ("linear4096", (2, 8), "auto"),
    "seed": ("seed", (320, 960), "auto"),
    "conv": ("conv", (16, 80), "auto"),
}

Site = Path | None  # where Python finds the package; None: in .venv
Measure = Callable[[Site], dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """One measurement, by the names of its figures."""

    name: str
    measure: Measure


def step_of(workload: str, counts: tuple[int, int], precision: str) -> Measure:
    args = ["--workload", workload, "--warm-up", "--iterations", *counts, "--precision", precision]

    def measure(site: Site) -> dict[str, float]:
        return {"CPU s/iteration/block": step_seconds(run_worker(OURS, "worker_ours.py", *args, site=site))}

    return measure


def whole(site: Site) -> dict[str, float]:
    """Four blocks of SmolLM2 from the simulation to the folded weights."""
    args = ["--workload", "smollm2-whole-4", "--iterations", 24]
    (run,) = run_worker(OURS, "worker_ours.py", *args, site=site)["runs"]
    return {
        "CPU s": run["cpu_s"],
        "CPU s before training": run["prepare_cpu_s"],
        "peak MiB": run["peak_above_mib"],
    }


def importing(site: Site) -> dict[str, float]:
    return {"s beyond torch's": run_worker(OURS, "import_time.py", "adascale", site=site)["seconds"]}


COMPARISONS = [
    *(Comparison(name, step_of(*step)) for name, step in STEPS.items()),
    Comparison("whole-4", whole),
    Comparison("import", importing),
]


def compare(comparison: Comparison, base: Path, turns: int) -> list[tuple[str, float, float]]:
    """A line for each figure: its unit, BASE's median, ours. Who is first changes from turn to turn."""
    found: dict[Site, list[dict[str, float]]] = {base: [], None: []}
    sites: list[Site] = [base, None]
    for turn in range(turns):
        for site in sites if turn % 2 == 0 else reversed(sites):
            found[site].append(comparison.measure(site))

    def middle(site: Site, unit: str) -> float:
        return median(figures[unit] for figures in found[site])

    return [(unit, middle(base, unit), middle(None, unit)) for unit in found[None][0]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench --against COMMIT", description=__doc__)
    parser.add_argument("--check", action="store_true", help="look at the other arguments alone")
    parser.add_argument("--site", type=Path, help="the folder that holds the commit's package")
    parser.add_argument("--rows", nargs="+", choices=[one.name for one in COMPARISONS], metavar="NAME")
    parser.add_argument("--turns", type=int, default=5, help="runs of each, of which the median counts")
    args = parser.parse_args()
    if args.check:
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    machine = describe_machine()
    print("| row | figure | base | here | here / base |\n|---|---|---|---|---|", flush=True)
    slower = 0
    for comparison in COMPARISONS:
        if args.rows and comparison.name not in args.rows:
            continue
        for unit, base, here in compare(comparison, args.site, args.turns):
            slower += here > ALLOWED * base
            print(f"| {comparison.name} | {unit} | {base:.4g} | {here:.4g} | {here / base:.3f} |", flush=True)
    load = f"load {machine['load_before']:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"\n{machine['cpu']}, {machine['cores']} cores, one thread, medians of {args.turns}, {load}")
    print(f"here: {describe_commit(ROOT)}")
    print(f"{slower} figures are more than {ALLOWED:g}x the base's")
    return 1 if slower else 0


if __name__ == "__main__":
    raise SystemExit(main())
