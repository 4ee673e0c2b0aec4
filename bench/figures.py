"""The figures of a benchmark's row, and their text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["met", "missed", "-"]


@dataclass(frozen=True)
class Target:
    """A bound on the ratio or on our own value."""

    of: Literal["ratio", "value"]
    kind: Literal["at least", "at most"]
    bound: float

    def is_met(self, ratio: float | None, value: float) -> bool | None:
        """None if there is no ratio to judge."""
        measured = ratio if self.of == "ratio" else value
        if measured is None:
            return None
        return measured >= self.bound if self.kind == "at least" else measured <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.kind == "at least" else "<="
        return f"{sign} {self.bound:g}" + ("x" if self.of == "ratio" else "")


def at_least(ratio: float) -> Target:
    return Target("ratio", "at least", ratio)


def ratio_at_most(ratio: float) -> Target:
    return Target("ratio", "at most", ratio)


def at_most(value: float) -> Target:
    return Target("value", "at most", value)


@dataclass
class Figure:
    """One line of the table. `ratio`: in the sense of the row's target."""

    work: str
    unit: str
    ours: float
    against: str = ""
    baseline: float | None = None
    ratio: float | None = None
    target: Target | None = None

    def verdict(self) -> Verdict:
        met = self.target.is_met(self.ratio, self.ours) if self.target else None
        return "-" if met is None else "met" if met else "missed"


@dataclass
class Scores:
    """One model's language scores, a line of the second table."""

    model: str
    values: dict[str, Any]


@dataclass
class Outcome:
    """All results of a row; `measured` holds its workers' output."""

    figures: list[Figure]
    scores: list[Scores] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)


def times_less(
    work: str, unit: str, against: str, baseline: float | None, ours: float, target: Target | None
) -> Figure:
    """The baseline over ours: how many times less ours takes."""
    ratio = baseline / ours if baseline is not None else None
    return Figure(work, unit, ours, against, baseline, ratio, target)
