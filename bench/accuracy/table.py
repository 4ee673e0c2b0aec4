"""docs/accuracy.md and its chart from the cells that were measured."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from cells import ALL, COMPARED, Cell
from chart import draw_chart
from kinds import KINDS, Score
from measuring import seconds_of
from subjects import ROOT, SUBJECTS

DOCS = ROOT / "docs" / "accuracy.md"
PICTURE = (
    "![KL divergence of each method, by its CPU time in multiples of the reference](images/accuracy.svg)\n\n"
)
PACKAGES = {
    "auto_round": "auto-round",
    "llm_compressor": "llmcompressor",
    "aimet": "aimet-torch",
    "llama_cpp": "llama-cpp-python",
}
CELLS, SHORT = "cells", "short"  # between their marks in the page


def update_docs(cells: Path) -> None:
    """Replaces the tables, which stand between their marks, and the chart."""
    found = {
        cell: json.loads(path.read_text()) for cell in ALL if (path := cells / f"{cell.key()}.json").exists()
    }
    for model in {cell.model for cell in found}:
        data = {content["stamp"]["data"] for cell, content in found.items() if cell.model == model}
        if len(data) > 1:
            raise SystemExit(
                f"{cells}: cells of {model} of different rows, {', '.join(sorted(data))}: "
                "measure the old ones again"
            )
    chart = PICTURE if draw_chart(found) else ""
    page = _between(DOCS.read_text(), SHORT, _short_table(found))
    DOCS.write_text(_between(page, CELLS, chart + _tables(found)))


def _between(page: str, name: str, text: str) -> str:
    """The page with that text between the marks of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def describe_scores(cell: Cell, found: dict[str, Any]) -> str:
    first = KINDS[SUBJECTS[cell.model].kind].scores[0]
    return ", ".join(f"{first.title} {name} {one[first.name]:.4f}" for name, one in found["scores"].items())


def _short_table(found: dict[Cell, Any]) -> str:
    """Of each pair that is measured: our KL over the peer's, on each text, and our cost over the peer's."""
    lines = ["| grid | adascale | beside | KL left | cost |", "|---|---|---|---|---|"]
    for ours, peer in COMPARED:
        if ours not in found or peer not in found:
            continue
        texts = found[ours]["scores"]
        left = [
            texts[text]["kl"] / found[peer]["scores"][text]["kl"] for text in ("topics", "licences", "manual")
        ]
        cost = _multiple(ours, found[ours]) / _multiple(peer, found[peer])
        names = [f"{cell.method} {cell.variant}, {cell.budget()}" for cell in (ours, peer)]
        names = [name.removeprefix("adascale ").removesuffix(", -") for name in names]
        lines.append(f"| {ours.grid.name()} | {' | '.join(names)} | {_shares(left)} | {cost:.2f} |")
    return "\n".join(lines)


def _shares(values: list[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in values)


def _multiple(cell: Cell, found: dict[str, Any]) -> float:
    """Of the reference that the cell's machine ran first."""
    return seconds_of(cell, found) / float(found["reference_s"])


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
    subject, seconds = SUBJECTS[cell.model], seconds_of(cell, found)
    return {
        "method": " ".join(filter(None, (cell.method, _version(cell, found), cell.variant))),
        "iterations x samples": cell.budget(),
        **{
            f"{score.title} {name}": _with_error(found["scores"][name], score)
            for score in KINDS[subject.kind].scores
            for name in subject.data.held_out
        },
        **_perplexity(found["scores"], subject.data.held_out[0]),
        "s": f"{seconds:.0f}",
        "of the reference": f"{_multiple(cell, found):.1f}",
        "MiB": f"{found['peak_mib' if cell.device == 'cpu' else 'device_mib']:.0f}",
        **({"MB of weights": f"{found['bytes'] / 1e6:.1f}"} if "bytes" in found else {}),
        "commit": found["commit"],
    }


def _with_error(scores: dict[str, float], score: Score) -> str:
    own = f"{scores[score.name]:.{score.digits}f} ± {scores[f'{score.name}_error']:.{score.digits}f}"
    return f"{own} ({scores[score.of_model]:.{score.digits}f})" if score.of_model else own


def _perplexity(scores: dict[str, dict[str, float]], name: str) -> dict[str, str]:
    """Of one text, and the full-precision model's; a column only for models that have one."""
    one = scores[name]
    if "perplexity" not in one:
        return {}
    return {f"perplexity, {name}": f"{one['perplexity']:.2f} ({one['model_perplexity']:.2f})"}


def _version(cell: Cell, found: dict[str, Any]) -> str:
    if cell.method == "adascale":  # the commit says more
        return ""
    return str(found["versions"][PACKAGES[cell.method]])
