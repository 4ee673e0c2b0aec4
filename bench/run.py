"""Measures AIMET and adascale in turns, on the same models, data, iterations and threads; prints one table.

Started by scripts/bench, which builds and fetches what this needs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figures import Outcome
from machine import describe_commit, describe_machine
from rows import ROWS, Row
from tables import show_figures, show_scores
from turns import BUILD, ROOT, Settings


def run_rows(rows: list[Row], settings: Settings) -> dict[str, Outcome | str]:
    """Each row's outcome, or its error in one line: one row's failure does not cost the others."""
    outcomes: dict[str, Outcome | str] = {}
    for row in rows:
        print(f"== {row.name}: {row.help}", file=sys.stderr, flush=True)
        try:
            outcomes[row.name] = row.run(settings)
        except Exception as error:  # boundary: any exception of a row is its outcome
            outcomes[row.name] = f"{type(error).__name__}: {error}"
        print(show_figures({row.name: outcomes[row.name]}), file=sys.stderr, flush=True)
    return outcomes


def find_versions(measured: Any) -> dict[str, str]:
    """The versions of packages that workers report."""
    if isinstance(measured, list):
        parts = measured
    elif isinstance(measured, dict):
        parts = list(measured.values())
    else:
        return {}
    found = dict(measured.get("versions", {})) if isinstance(measured, dict) else {}
    for part in parts:
        found |= find_versions(part)
    return found


def withdraw_targets(outcomes: dict[str, Outcome | str]) -> None:
    """A few iterations neither meet nor miss a target."""
    for outcome in outcomes.values():
        for figure in [] if isinstance(outcome, str) else outcome.figures:
            figure.target = None


def as_json(outcome: Outcome | str) -> dict[str, Any]:
    if isinstance(outcome, str):
        return {"failed": outcome}
    figures = [
        {**asdict(figure), "target": str(figure.target or ""), "verdict": figure.verdict()}
        for figure in outcome.figures
    ]
    return {
        "figures": figures,
        "scores": [asdict(scores) for scores in outcome.scores],
        "measured": outcome.measured,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    unfinished.rename(path)


def chosen_rows(names: list[str] | None) -> list[Row]:
    known = {row.name: row for row in ROWS}
    for name in names or []:
        if name not in known:
            raise SystemExit(f"run.py: no row {name}, expected some of {', '.join(known)}")
    return [known[name] for name in names or known]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these; --list shows them")
    parser.add_argument("--list", action="store_true", help="show the rows and stop")
    parser.add_argument("--quick", action="store_true", help="a few iterations, to see that all runs")
    parser.add_argument(
        "--skip-aimet", action="store_true", help="no figures of AIMET's where there can be none"
    )
    parser.add_argument("--threads", type=int, default=1, help="of both programs")
    parser.add_argument("--turns", type=int, default=3, help="runs of each program for times of a step")
    parser.add_argument("--kernels", type=Path, default=Settings.kernels, help="the micro-benchmarks")
    parser.add_argument("--output", type=Path, default=BUILD / "results.json")
    args = parser.parse_args()
    if args.list:
        print("\n".join(f"{row.name:16} {row.help}" for row in ROWS))
        return 0

    BUILD.mkdir(parents=True, exist_ok=True)
    (BUILD / "log.txt").unlink(missing_ok=True)
    rows = chosen_rows(args.rows)
    machine = describe_machine()
    settings = Settings(args.threads, args.turns, args.quick, args.skip_aimet, args.kernels)
    outcomes = run_rows(rows, settings)
    if args.quick:
        withdraw_targets(outcomes)

    results = {name: as_json(outcome) for name, outcome in outcomes.items()}
    versions = find_versions(results) | {"commit": describe_commit(ROOT)}
    setup = {"threads": args.threads, "turns": args.turns, "quick": args.quick}
    write_json(args.output, {"machine": machine, "versions": versions, "settings": setup, "rows": results})
    print_report(outcomes, machine, versions, setup)
    failed = [name for name, outcome in outcomes.items() if isinstance(outcome, str)]
    print(f"\n{args.output}" + (f"; failed: {', '.join(failed)} (see {BUILD / 'log.txt'})" if failed else ""))
    return 1 if failed else 0


def print_report(
    outcomes: dict[str, Outcome | str],
    machine: dict[str, object],
    versions: dict[str, str],
    setup: dict[str, object],
) -> None:
    print(f"\n{show_figures(outcomes)}")
    if scores := show_scores(outcomes):
        print(
            "\nKL divergence to the FP logits, share of same top tokens: mean and standard error over tokens"
        )
        print(scores)
    print(f"\n{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['features'])}, "
          f"load {machine['load_before']:.1f} before, {os.getloadavg()[0]:.1f} after")  # fmt: skip
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(", ".join(f"{name}: {value}" for name, value in setup.items()))


if __name__ == "__main__":
    sys.exit(main())
