"""docs/accuracy.md and its chart from the cells that were measured."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from cells import CORE, Cell, Grid
from chart import draw_chart
from folders import ROOT
from measuring import seconds_of
from text import HELD_OUT

DOCS = ROOT / "docs" / "accuracy.md"
PICTURE = "![KL divergence of each method, by the CPU seconds that it took](images/accuracy.svg)\n\n"
BEGIN, END = "<!-- cells: begin -->", "<!-- cells: end -->"
COLUMNS = [
    "method",
    "iterations x samples",
    "KL topics",
    "KL licences",
    "KL manual",
    "perplexity, topics",
    "s",
    "of the reference",
    "MiB",
    "commit",
]


def update_docs(cells: Path) -> None:
    """Replaces what stands between the marks, and the chart."""
    found = {
        cell: json.loads(path.read_text()) for cell in CORE if (path := cells / f"{cell.key()}.json").exists()
    }
    data = {cell["stamp"]["data"] for cell in found.values()}
    if len(data) > 1:
        raise SystemExit(
            f"{cells}: cells of different texts, {', '.join(sorted(data))}: measure the old ones again"
        )
    before, _, rest = DOCS.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    chart = PICTURE if draw_chart(found) else ""
    DOCS.write_text(f"{before}{BEGIN}\n{chart}{_tables(found)}\n{END}{after}")


def _tables(found: dict[Cell, Any]) -> str:
    head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    return "\n".join(
        f"### {_title(grid, device)}\n\n{head}" + "\n".join(_line(cell, found[cell]) for cell in cells) + "\n"
        for (grid, device), cells in groupby(found, key=lambda cell: (cell.grid, cell.device))
    )


def _title(grid: Grid, device: str) -> str:
    return grid.name() + ("" if device == "cpu" else ", on a GPU")


def _line(cell: Cell, found: dict[str, Any]) -> str:
    scores, seconds = found["scores"], seconds_of(cell, found)
    values = [
        " ".join(filter(None, (cell.method, _version(cell, found), cell.variant))),
        f"{cell.iterations} x {cell.samples}" if cell.iterations else "-",
        *(f"{scores[name]['kl']:.3f} ± {scores[name]['kl_error']:.3f}" for name in HELD_OUT),
        f"{scores['topics']['perplexity']:.2f} ({scores['topics']['model_perplexity']:.2f})",
        f"{seconds:.0f}",
        f"{seconds / found['reference_s']:.1f}",
        f"{found['peak_mib' if cell.device == 'cpu' else 'device_mib']:.0f}",
        found["commit"],
    ]
    return f"| {' | '.join(values)} |"


def _version(cell: Cell, found: dict[str, Any]) -> str:
    names = {"auto_round": "auto-round", "llm_compressor": "llmcompressor", "aimet": "aimet-torch"}
    return found["versions"].get(names.get(cell.method, ""), "")
