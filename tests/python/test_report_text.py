"""What quantize() and apply_adascale() return, in a terminal and in a notebook."""

from pathlib import Path

import pytest
import torch
from small_models import ConsecutiveBlocks

import adascale


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> adascale.AdaScaleReport:
    out: Path = tmp_path_factory.mktemp("out")
    model, data = ConsecutiveBlocks(depth=3).eval(), torch.randn(16, 64)
    return adascale.quantize(model, out, data, iterations=4, batch_size=4, held_out_batches=1, progress=False)


def test_a_terminal_gets_a_verdict_and_a_table(report: adascale.AdaScaleReport) -> None:
    lines = repr(report).splitlines()
    assert lines[0].startswith("AdaScale, recipe ") and "3 blocks" in lines[0]
    assert "blocks" in lines[1] and lines[1].endswith(".")
    head = next(number for number, line in enumerate(lines) if line.startswith("block "))
    assert {"rounded", "trained", "change", "held-out", "result"} <= set(lines[head].split())
    rows = lines[head + 2 : head + 5]
    assert [row.split()[0] for row in rows] == [block.name for block in report.blocks]
    assert str(report) == repr(report) and not repr(report).endswith("\n")


def test_a_notebook_gets_the_same_as_a_table(report: adascale.AdaScaleReport) -> None:
    html = report._repr_html_()
    for block in report.blocks:
        assert f">{block.name}</th>" in html
    assert repr(report).splitlines()[1] in html
    assert "<script" not in html and "style=" in html
    assert html.count("<tr>") == 1 + len(report.blocks) and html.count("<td>") % len(report.blocks) == 0
