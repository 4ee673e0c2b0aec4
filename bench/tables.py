"""The tables at the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from figures import Outcome


def show_number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def show_columns(rows: Iterable[Sequence[str]], left: int) -> str:
    """Lines of aligned columns, the first `left` of them to the left; the first row is the header."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = [
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in rows)


def show_figures(outcomes: dict[str, Outcome | str]) -> str:
    """The table of ratios. An outcome that is a string is the error of a row that failed."""
    rows = [("row", "work", "unit", "against", "baseline", "ours", "ratio", "target", "")]
    for name, outcome in outcomes.items():
        if isinstance(outcome, str):
            rows.append((name, outcome, "", "", "", "", "", "", "FAILED"))
            continue
        for figure in outcome.figures:
            ratio = "-" if figure.ratio is None else f"{figure.ratio:.3g}x"
            numbers = (show_number(figure.baseline), show_number(figure.ours), ratio)
            target = str(figure.target or "-")
            rows.append((name, figure.work, figure.unit, figure.against, *numbers, target, figure.verdict()))
    return show_columns(rows, 4)


def show_scores(outcomes: dict[str, Outcome | str]) -> str:
    """Perplexity and related scores, method by method; empty when no row has any."""
    rows = [("row", "model", "perplexity", "rows 1-7", "KL to FP", "+- s.e.", "same top", "+- s.e.")]
    for name, outcome in outcomes.items():
        for scores in [] if isinstance(outcome, str) else outcome.scores:
            v = scores.values
            pairs = (*(f"{x:.4f}" for x in v["kl"]), *(f"{x:.4f}" for x in v["same_top"]))
            perplexities = (f"{v[key]:.4g}" for key in ("perplexity", "perplexity_rows_1_to_7"))
            rows.append((name, scores.model, *perplexities, *pairs))
    return show_columns(rows, 2) if len(rows) > 1 else ""
