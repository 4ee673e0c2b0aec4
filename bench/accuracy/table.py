"""docs/accuracy.md and its chart from the cells that were measured."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from cells import CORE, Cell
from chart import draw_chart
from measuring import seconds_of
from subjects import ROOT, SUBJECTS
from text import HELD_OUT

DOCS = ROOT / "docs" / "accuracy.md"
PICTURE = "![KL divergence of each method, by the CPU seconds that it took](images/accuracy.svg)\n\n"
BEGIN, END = "<!-- cells: begin -->", "<!-- cells: end -->"
# The score that is shown of every text, by the kind of model: its title and its name in a cell.
SCORES = {"decoder": ("KL", "kl"), "encoder": ("1 - cosine", "distance")}


def update_docs(cells: Path) -> None:
    """Replaces what stands between the marks, and the chart."""
    found = {
        cell: json.loads(path.read_text()) for cell in CORE if (path := cells / f"{cell.key()}.json").exists()
    }
    for model in {cell.model for cell in found}:
        data = {content["stamp"]["data"] for cell, content in found.items() if cell.model == model}
        if len(data) > 1:
            raise SystemExit(
                f"{cells}: cells of {model} of different texts, {', '.join(sorted(data))}: "
                "measure the old ones again"
            )
    before, _, rest = DOCS.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    chart = PICTURE if draw_chart(found) else ""
    DOCS.write_text(f"{before}{BEGIN}\n{chart}{_tables(found)}\n{END}{after}")


def describe_scores(cell: Cell, found: dict[str, Any]) -> str:
    title, score = SCORES[SUBJECTS[cell.model].kind]
    return ", ".join(f"{title} {name} {one[score]:.4f}" for name, one in found["scores"].items())


def _tables(found: dict[Cell, Any]) -> str:
    """A section for each model and device, and a table for each grid in it."""
    parts = []
    for (model, device), cells in groupby(found, key=lambda cell: (cell.model, cell.device)):
        parts.append(f"### {SUBJECTS[model].title}{'' if device == 'cpu' else ', on a GPU'}\n")
        for grid, same in groupby(cells, key=lambda cell: cell.grid):
            lines = [_columns(cell, found[cell]) for cell in same]
            head = f"| {' | '.join(lines[0])} |\n|{'---|' * len(lines[0])}\n"
            table = "\n".join(f"| {' | '.join(line.values())} |" for line in lines)
            parts.append(f"**{grid.name()}**\n\n{head}{table}\n")
    return "\n".join(parts)


def _columns(cell: Cell, found: dict[str, Any]) -> dict[str, str]:
    """What a line shows, by the titles of its columns."""
    scores, seconds, kind = found["scores"], seconds_of(cell, found), SUBJECTS[cell.model].kind
    title, score = SCORES[kind]
    digits = {"kl": 3, "distance": 4}[score]
    first = scores[HELD_OUT[0]]
    if kind == "decoder":
        last = {"perplexity, topics": f"{first['perplexity']:.2f} ({first['model_perplexity']:.2f})"}
    else:
        last = {f"recall@10 {name}": _with_error(scores[name], "recall", 3) for name in HELD_OUT}
    return {
        "method": " ".join(filter(None, (cell.method, _version(cell, found), cell.variant))),
        "iterations x samples": f"{cell.iterations} x {cell.samples}" if cell.iterations else "-",
        **{f"{title} {name}": _with_error(scores[name], score, digits) for name in HELD_OUT},
        **last,
        "s": f"{seconds:.0f}",
        "of the reference": f"{seconds / found['reference_s']:.1f}",
        "MiB": f"{found['peak_mib' if cell.device == 'cpu' else 'device_mib']:.0f}",
        "commit": found["commit"],
    }


def _with_error(scores: dict[str, float], name: str, digits: int) -> str:
    return f"{scores[name]:.{digits}f} ± {scores[f'{name}_error']:.{digits}f}"


def _version(cell: Cell, found: dict[str, Any]) -> str:
    names = {"auto_round": "auto-round", "llm_compressor": "llmcompressor", "aimet": "aimet-torch"}
    return found["versions"].get(names.get(cell.method, ""), "")
