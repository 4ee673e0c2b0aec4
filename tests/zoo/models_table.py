"""docs/models.md's tables, from the run's own reports: a row a model, and what trained ones are worth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

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


# Of this run, by the test's name.
ROWS: dict[str, Row] = {}
SCORES: dict[str, Score] = {}


def titles_in_docs() -> list[str]:
    table = PAGE.read_text().partition(BEGIN.format("models"))[2].partition(END.format("models"))[0]
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]


def write_tables() -> None:
    _replace("models", [*MODELS_HEAD, *map(str, ROWS.values())])
    _replace("scores", [*SCORES_HEAD, *map(str, SCORES.values())])


def _replace(name: str, lines: list[str]) -> None:
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = PAGE.read_text().partition(begin)
    after = rest.partition(end)[2]
    PAGE.write_text("\n".join([f"{before}{begin}", *lines, f"{end}{after}"]))
