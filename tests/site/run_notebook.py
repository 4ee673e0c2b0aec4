#!/usr/bin/env python3
"""Runs docs/tutorial.ipynb from its top; exits 1 where a cell fails or an accuracy is new.

    tests/site/run_notebook.py [--update]

`scripts/docs` starts it. --update keeps the cells' printed texts in the notebook, for the site. Without it
the accuracies must be the kept ones within 0.05: other machines round otherwise.
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs/tutorial.ipynb"
ACCURACY = re.compile(r"^([\w -]+): (\d\.\d+)$", re.MULTILINE)
NEAR = 0.05


def printed(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(o["text"] for c in notebook.cells for o in c.get("outputs", []) if o["name"] == "stdout")


def accuracies(notebook: nbformat.NotebookNode) -> dict[str, float]:
    return {name: float(value) for name, value in ACCURACY.findall(printed(notebook))}


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
    kept = accuracies(notebook)
    try:
        run(notebook)
    except CellExecutionError as error:
        sys.exit(f"{NOTEBOOK.name}: a cell failed\n{error}")
    found = accuracies(notebook)
    print("\n".join(f"{name}: {value:.3f}" for name, value in found.items()))
    if "--update" in sys.argv[1:]:
        nbformat.write(notebook, NOTEBOOK)
        return
    if not found:
        sys.exit(f"{NOTEBOOK.name}: prints no accuracies")
    far = [name for name in kept | found if abs(kept.get(name, -1) - found.get(name, -1)) > NEAR]
    if far:
        sys.exit(f"{NOTEBOOK.name}: kept {kept}, got {found}; --update keeps the new ones")


if __name__ == "__main__":
    main()
