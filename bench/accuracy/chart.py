"""docs/images/accuracy.svg from the cells that were measured: the divergence left, by what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import matplotlib
import matplotlib.ticker
from cells import Cell, Grid
from measuring import seconds_of
from subjects import ROOT

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

CHART = ROOT / "docs" / "images" / "accuracy.svg"
TEXT = "topics"
# Read on white and on GitHub's dark page alike: the page behind it shows through.
INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
INK, OURS, PEERS = "#7d8590", "#2f81f7", "#d1742b"


@dataclass(frozen=True)
class Look:
    label: str
    color: str
    marker: str


LOOKS = {
    ("adascale", "fast"): Look("adascale fast", OURS, "o"),
    ("adascale", "best"): Look("adascale best", OURS, "D"),
    ("auto_round", "default"): Look("AutoRound", PEERS, "s"),
    ("auto_round", "alg_ext"): Look("AutoRound alg_ext", PEERS, "^"),
    ("llm_compressor", "actorder_weight"): Look("GPTQ (llm-compressor)", PEERS, "v"),
    ("aimet", "adascale"): Look("AIMET AdaScale", PEERS, "P"),
}


def draw_chart(found: dict[Cell, Any]) -> bool:
    """A panel for each grid of which a trained cell and a peer's are there; both axes logarithmic.

    False: there is no such grid, and no chart.
    """
    panels = [(grid, list(cells)) for grid, cells in groupby(_shown(found), key=lambda cell: cell.grid)]
    if not panels:
        return False
    style = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "adascale",  # the same cells give the same bytes
        "font.family": "sans-serif",
        "font.size": 9,
        **dict.fromkeys(INKED, INK),
    }
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, len(panels), figsize=(3.4 * max(len(panels), 2), 3.8), squeeze=False)
        for axis, (grid, cells) in zip(axes[0], panels, strict=True):
            _draw_panel(axis, grid, cells, found)
        axes[0][0].set_ylabel("KL to the full-precision model, nats")
        shown = [one for axis in axes[0] for one in axis.collections if not one.get_label().startswith("_")]
        handles = {one.get_label(): one for one in shown}
        figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=3, frameon=False)
        figure.tight_layout(rect=(0, 0.13, 1, 1))
        CHART.parent.mkdir(exist_ok=True)
        figure.savefig(CHART, transparent=True, metadata={"Date": None})
        plt.close(figure)
    return True


def _shown(found: dict[Cell, Any]) -> list[Cell]:
    """Of grids of integers: those of floats do not judge a model that comes out of 4 bits in groups. One seed
    of each."""
    on_cpu = [
        cell
        for cell in found
        if (cell.model, cell.device) == ("smollm2", "cpu")
        and (cell.method, cell.variant) in LOOKS
        and not cell.grid.floats
        and not cell.seed
    ]
    both = {cell.grid for cell in on_cpu if cell.method == "adascale"} & {
        cell.grid for cell in on_cpu if cell.method != "adascale"
    }
    return [cell for cell in on_cpu if cell.grid in both]


def _draw_panel(axis: Axes, grid: Grid, cells: list[Cell], found: dict[Cell, Any]) -> None:
    for cell in cells:
        look, score = LOOKS[cell.method, cell.variant], found[cell]["scores"][TEXT]
        # Machines differ, and cells are of several: the reference ran on each of them.
        cost = seconds_of(cell, found[cell]) / found[cell]["reference_s"]
        axis.errorbar(cost, score["kl"], score["kl_error"], color=look.color, linewidth=1)
        axis.scatter(cost, score["kl"], 36, look.color, look.marker, label=look.label, zorder=3)
        if cell.iterations:
            axis.annotate(
                cell.budget(),
                (cost, score["kl"]),
                (5, 4),
                textcoords="offset points",
                fontsize=7,
            )
    axis.set_title(grid.name(), fontsize=10)
    axis.set(xscale="log", yscale="log", xlabel="CPU time, reference = 1")
    axis.margins(0.15)
    axis.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.tick_params(which="both", labelsize=8)
    axis.grid(True, which="both", alpha=0.15)
    axis.spines[["top", "right"]].set_visible(False)
