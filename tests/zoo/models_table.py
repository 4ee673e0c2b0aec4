"""docs/models.md's tables, from the run's own reports: one row per model, and the scores of trained ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from adascale import AdaScaleReport

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"  # around what the zoo writes
MODELS_HEAD = [
    "| model | blocks | layers trained | rounded | left alone | loss ratio, best to worst block |",
    "|---|---|---|---|---|---|",
]
SCORES_HEAD = [
    "| model | weights | measured | full precision | rounded to nearest | AdaScale |",
    "|---|---|---|---|---|---|",
]


@dataclass(frozen=True)
class Row:
    title: str
    blocks: int
    trained: int
    rounded: int
    left_alone: int
    ratios: list[float]  # by block: held-out loss after training over round-to-nearest's

    @classmethod
    def of(cls, title: str, report: AdaScaleReport) -> Self:
        trained = [block for block in report.blocks if block.layers]
        return cls(
            title=title,
            blocks=len(report.blocks),
            trained=sum(len(block.layers) for block in trained),
            rounded=sum("round-to-nearest" in line for line in report.not_trained),
            left_alone=sum("round-to-nearest" not in line for line in report.not_trained),
            ratios=[block.held_out_after / block.held_out_before for block in trained],
        )

    def __str__(self) -> str:
        counts = f"{self.blocks} | {self.trained} | {self.rounded} | {self.left_alone}"
        return f"| {self.title} | {counts} | {min(self.ratios):.2f} to {max(self.ratios):.2f} |"


@dataclass(frozen=True)
class Score:
    """`values`: one or more numbers each for the full-precision, the rounded and the trained model."""

    title: str
    weights: str
    measured: str
    iterations: int
    values: list[tuple[float, ...]]

    def __str__(self) -> str:
        weights = f"{self.weights}; {self.iterations} iterations"
        numbers = ["; ".join(f"{number:.4g}" for number in triple) for triple in self.values]
        return f"| {self.title} | {weights} | {self.measured} | {' | '.join(numbers)} |"


# The rows of this run, by the test's name.
ROWS: dict[str, Row] = {}
SCORES: dict[str, Score] = {}


def titles_in_docs() -> list[str]:
    return list(_lines_in_docs("models"))


def write_tables() -> None:
    """Lines of this run replace those of the same title; the others stay."""
    _replace("models", MODELS_HEAD, ROWS)
    _replace("scores", SCORES_HEAD, SCORES)


def _lines_in_docs(table: str) -> dict[str, str]:
    """The lines by title, without the head."""
    text = PAGE.read_text().partition(BEGIN.format(table))[2].partition(END.format(table))[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return {line.split("|")[1].strip(): line for line in lines}


def _replace(table: str, head: list[str], found: dict[str, Any]) -> None:
    begin, end = BEGIN.format(table), END.format(table)
    lines = _lines_in_docs(table) | {row.title: str(row) for row in found.values()}
    before, _, rest = PAGE.read_text().partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text("\n".join([f"{before}{begin}", *head, *lines.values(), f"{end}{after}"]))
