#!/usr/bin/env python3
"""Runs docs/tutorial.ipynb from its top; exits 1 where a cell fails or what it teaches does not come out.

    tests/site/run_notebook.py [--update]

`scripts/docs` starts it. --update keeps the cells' printed texts in the notebook, for the site. Numbers may
differ from those kept: with other threads the tutorial trains another model. All else may not.
"""

import difflib
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs/tutorial.ipynb"
ACCURACY = re.compile(r"^([\w -]+): (\d\.\d+)$", re.MULTILINE)


def printed(notebook: nbformat.NotebookNode) -> str:
    """A cell's text may come in several outputs: in how many is chance."""
    cells = (cell.get("outputs", []) for cell in notebook.cells)
    return "\n".join("".join(o["text"] for o in outputs if o["name"] == "stdout") for outputs in cells)


def accuracies(notebook: nbformat.NotebookNode) -> dict[str, float]:
    return {name: float(value) for name, value in ACCURACY.findall(printed(notebook))}


def form_of(notebook: nbformat.NotebookNode) -> list[str]:
    """The printed lines without their numbers, and without the blanks and rules that numbers widen."""
    lines = re.sub(r"\d[\d.,e+-]*", "#", printed(notebook)).splitlines()
    return [re.sub(r"[ -]+", " ", line) for line in lines]


def stale_lines(kept: list[str], found: list[str]) -> list[str]:
    """What the page shows otherwise than the cells print it."""
    return list(difflib.unified_diff(kept, found, "kept", "printed", lineterm="", n=0))


def faults_of(found: dict[str, float]) -> list[str]:
    """What the tutorial says that the accuracies do not show."""
    model, rounded, ours, again = (
        found.get(name, -1.0) for name in ("full precision", "rounded to nearest", "AdaScale", "loaded again")
    )
    claims = {
        "the model has learned its task": model > 0.9,
        "rounding alone breaks it": rounded < model - 0.3,
        "AdaScale keeps it": ours > model - 0.06,
        "the file holds what was trained": again == ours,
    }
    return [f"not so: {claim} ({found})" for claim, holds in claims.items() if not holds]


def run(notebook: nbformat.NotebookNode) -> None:
    """Leaves each cell's standard output in it, and nothing else that it said."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") == "stdout"]


def main() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = form_of(notebook)
    try:
        run(notebook)
    except CellExecutionError as error:
        sys.exit(f"{NOTEBOOK.name}: a cell failed\n{error}")
    found = accuracies(notebook)
    print("\n".join(f"{name}: {value:.3f}" for name, value in found.items()))
    if "--update" in sys.argv[1:]:
        nbformat.write(notebook, NOTEBOOK)
        return
    faults = faults_of(found)
    if faults:
        sys.exit(f"{NOTEBOOK.name}: {'; '.join(faults)}")
    if stale := stale_lines(kept, form_of(notebook)):
        sys.exit("\n".join([f"{NOTEBOOK.name}: its outputs are old; run {sys.argv[0]} --update", *stale]))


if __name__ == "__main__":
    main()
