"""`scripts/browser` runs these: pages in headless Chromium, of two widths and two colour schemes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from chromium import Browser
from safetensors.torch import save_file
from small_folders import llama_folder, write_text
from small_models import ConsecutiveBlocks

import adascale


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.driver.quit()


def command(*words: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adascale", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def report_page(folder: Path) -> Path:
    torch.manual_seed(0)
    data = torch.randn(32, 64)
    options: dict[str, Any] = {"iterations": 80, "batch_size": 4, "held_out_batches": 1, "output_bw": 16}
    adascale.quantize(ConsecutiveBlocks(depth=5).eval(), folder, data, progress=False, **options)
    return folder / "report.html"


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind; of evaluate one with tokens and one without."""
    here = tmp_path_factory.mktemp("pages")
    report = report_page(here / "out")
    text, language = write_text(here / "text.txt"), llama_folder(here / "tiny-llama")
    small = ["--samples=12", "--seq-len=48", "--batch-size=4"]
    command(
        "quantize", language, "--data", text, *small, "--iterations=8", "--output-dir", here / "quantized"
    )
    tokens, outputs, inspection = (here / f"{name}.html" for name in ("tokens", "outputs", "inspection"))
    command(
        *("evaluate", language, here / "quantized", "--data", text, *small),
        *("--runtime=transformers", "--html", tokens),
    )
    save_file({"x": torch.randn(9, 64)}, here / "x.safetensors")
    model = torch.export.export(ConsecutiveBlocks(depth=5).eval(), (torch.randn(9, 64),))
    torch.export.save(model, here / "model.pt2")
    command(
        "quantize",
        here / "model.pt2",
        "--data",
        here / "x.safetensors",
        "--iterations=8",
        "--output-dir",
        here / "small",
    )
    command(
        *("evaluate", here / "model.pt2", here / "small", "--data", here / "x.safetensors"),
        *("--html", outputs),
    )
    command("inspect", here / "quantized", "--html", inspection)
    return {"report": report, "evaluation": tokens, "evaluation-outputs": outputs, "inspection": inspection}
