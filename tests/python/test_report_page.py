"""report.html and report.json: who writes them, and what they hold."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_folders import QUICK, TEXT, llama_folder
from small_models import ConsecutiveBlocks, seed_sim

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

MARK = "<!doctype html><!-- adascale report -->"
LOADS = re.compile(r"\ssrc=|<link|@import|url\(|fetch\(")


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="report">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_quantize_writes_both(tmp_path: Path) -> None:
    adascale.quantize(
        ConsecutiveBlocks().eval(), tmp_path, torch.randn(8, 64), iterations=3, batch_size=4, progress=False
    )
    page = (tmp_path / "report.html").read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert page.startswith(MARK) and not LOADS.search(page)
    assert data_of(page) == report
    assert report["schema"] == 1 and report["model"] == "ConsecutiveBlocks" and report["data"] == []
    assert [len(block["curve"]) for block in report["blocks"]] == [3] * 5
    assert {one["name"]: one["how_to_load"] for one in report["formats"]}["pt2"] == (
        "torch.export.load('ConsecutiveBlocks.pt2').module()(x)"
    )


def test_a_folder_that_has_a_report_is_a_model_without_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    adascale.quantize(llama_folder(tmp_path / "model"), first, [TEXT], **QUICK)
    (first / "docs").mkdir()
    (first / "docs" / "report.html").write_text("a page of the model's own")
    (first / "docs" / "index.html").write_text("another one")
    adascale.quantize(first, second, [TEXT], **QUICK, param_bw=3)
    assert (second / "docs" / "report.html").exists() and (second / "docs" / "index.html").exists()
    assert data_of((second / "report.html").read_text())["model"] == "first"


def test_a_block_that_diverged_is_marked() -> None:
    sim = seed_sim(ConsecutiveBlocks(depth=2).eval(), torch.randn(4, 64))
    batches = [torch.randn(4, 64) for _ in range(2)]
    report = adascale.apply_adascale(sim, batches, num_iterations=4, lr_scale=1e8, progress=False)
    assert all(block.diverged and not block.kept for block in report.blocks)
    assert all(block["diverged"] for block in json.loads(report.to_json())["blocks"])
    assert str(report).count("diverged and stayed") == 1


def test_the_report_of_a_training_makes_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    sim = seed_sim(ConsecutiveBlocks(depth=2).eval(), torch.randn(4, 64))
    batches = [torch.randn(4, 64) for _ in range(2)]
    report = adascale.apply_adascale(sim, batches, num_iterations=100, progress=False)
    page, told = report.to_html(), json.loads(report.to_json())
    assert page.startswith(MARK) and data_of(page) == told
    assert [block["name"] for block in told["blocks"]] == [block.name for block in report.blocks]
    assert "plan" not in told and "size" not in told
    (curve, _) = (block["curve"] for block in told["blocks"])
    assert len(curve) == 50 and curve[-1][0] == 100
    layer = told["blocks"][0]["layers"][0]
    assert sum(layer["weights"]["counts"]) == sum(layer["codes"]["counts"]) == 64 * 32
