"""Measures the accuracy table and keeps each cell in cells/; those that are there are not measured again.

Started by scripts/bench --accuracy, which builds and fetches what this needs.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import sys
from pathlib import Path

import torch
from cells import ALL, CORE, QUICK, Cell
from environments import versions_of
from measuring import Rows, make_rows, measure, measure_reference, seconds_of
from subjects import ROOT, WORK
from table import describe_scores, update_docs

sys.path.append(str(ROOT / "bench"))
from machine import describe_commit, describe_machine

CELLS = Path(__file__).with_name("cells")


def digest(rows: Rows) -> str:
    found = hashlib.sha256()
    for name in sorted(rows):
        found.update(rows[name].numpy().tobytes())
    return found.hexdigest()[:16]


def stamp_of(cell: Cell, rows: Rows) -> dict[str, object]:
    return {"cell": cell.as_json(), "data": digest(rows), "requirements": versions_of(cell)}


def is_measured(cell: Cell, rows: Rows) -> bool:
    path = CELLS / f"{cell.key()}.json"
    return path.exists() and json.loads(path.read_text())["stamp"] == stamp_of(cell, rows)


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else str(describe_machine()["cpu"])


def measure_all(cells: list[Cell], rows: dict[str, Rows], keep: bool) -> int:
    """The exit status. A cell that fails does not cost the others."""
    learner = ("adascale", "python", "bench/accuracy/by_adascale.py")
    (device,) = {cell.device for cell in cells}
    machine, commit = name_of(device), describe_commit(ROOT, *learner)
    reference = measure_reference(device)
    print(f"the reference cell takes {reference:.1f} s", flush=True)
    more = {"commit": commit, "machine": machine, "reference_s": reference}
    failed = 0
    for cell in cells:
        try:
            found = measure(cell, rows[cell.model])
        except RuntimeError as error:  # boundary
            print(f"{cell.key()}: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        print(f"{cell.key()}: {describe_scores(cell, found)}, {seconds_of(cell, found):.0f} s", flush=True)
        if keep:
            content = {"stamp": stamp_of(cell, rows[cell.model]), **more, **found}
            (CELLS / f"{cell.key()}.json").write_text(json.dumps(content, indent=1) + "\n")
            update_docs(CELLS)
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench --accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few small cells, kept nowhere: does all run?")
    parser.add_argument("--all", action="store_true", help="also the cells outside the core: another day")
    parser.add_argument(
        "--only", nargs="+", metavar="GLOB", help="only cells of these names, in the core or not"
    )
    parser.add_argument("--again", action="store_true", help="also those that are there")
    parser.add_argument(
        "--device", default="cpu", choices=["cpu", "cuda"], help="cells of one thread, or of a GPU"
    )
    parser.add_argument(
        "--list", action="store_true", help="show the cells that would be taken, and whether they are there"
    )
    parser.add_argument("--docs", action="store_true", help="only write docs/accuracy.md from the cells")
    arguments = parser.parse_args()
    if arguments.docs:
        update_docs(CELLS)
        return 0
    WORK.mkdir(parents=True, exist_ok=True)
    globs = arguments.only or ["*"]
    chosen = ALL if arguments.all or arguments.only else CORE
    on_device = [cell for cell in chosen if cell.device == arguments.device]
    wanted = [cell for cell in on_device if any(fnmatch.fnmatch(cell.key(), glob) for glob in globs)]
    if not wanted:
        parser.error(f"--only: no cell is called {' or '.join(globs)}; --list --all shows them")
    if arguments.quick:
        wanted = [cell for cell in QUICK if cell.device == arguments.device]
    rows = {model: make_rows(model) for model in {cell.model for cell in wanted}}
    if arguments.quick:
        return measure_all(wanted, rows, keep=False)
    there = {cell: is_measured(cell, rows[cell.model]) for cell in wanted}
    if arguments.list:
        print("\n".join(f"{'there' if measured else '-':6} {cell.key()}" for cell, measured in there.items()))
        return 0
    missing = [cell for cell in wanted if arguments.again or not there[cell]]
    if not missing:
        print(f"all {len(wanted)} cells are there; --again measures them anew, in place of these")
        return 0
    return measure_all(missing, rows, keep=True)


if __name__ == "__main__":
    sys.exit(main())
