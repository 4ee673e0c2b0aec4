"""report.html as its readers use it: sorting, searching, choosing, by keyboard, on a phone, in the dark."""

from pathlib import Path
from typing import Any

import pytest
import torch
from chromium import Browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from small_models import ConsecutiveBlocks

import adascale

DEPTH = 5


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("report")
    data = torch.randn(32, 64)
    options: dict[str, Any] = {"iterations": 80, "batch_size": 4, "held_out_batches": 1, "output_bw": 16}
    adascale.quantize(ConsecutiveBlocks(depth=DEPTH).eval(), out, data, progress=False, **options)
    return out / "report.html"


def column(browser: Browser, section: str, number: int) -> list[str]:
    cells = browser.script(
        "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].filter(row => !row.hidden)"
        ".map(row => row.children[arguments[1]].textContent)",
        section,
        number,
    )
    assert isinstance(cells, list)
    return cells


def number(text: str) -> float:
    return float(text.replace("−", "-").removesuffix(" %"))


def sort_button(browser: Browser, section: str, number: int) -> Any:
    return browser.driver.find_elements(By.CSS_SELECTOR, f"#{section} thead th")[number].find_element(
        By.TAG_NAME, "button"
    )


def test_nothing_is_loaded_and_nothing_complains(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.complaints() == []
    assert browser.script("return performance.getEntriesByType('resource').length") == 0
    assert browser.driver.title == "ConsecutiveBlocks: adascale report"
    headings = {heading.text for heading in browser.driver.find_elements(By.TAG_NAME, "h2")}
    assert headings >= {"How do I load it?", "Blocks", "Layers", "Activations", "The run"}
    assert len(column(browser, "blocks", 0)) == DEPTH
    assert len(column(browser, "layers", 0)) == 2 * DEPTH


def test_a_column_sorts_both_ways(browser: Browser, page: Path) -> None:
    browser.open(page)
    button = sort_button(browser, "layers", 2)
    head = button.find_element(By.XPATH, "..")
    unsorted = [number(text) for text in column(browser, "layers", 2)]
    assert head.get_attribute("aria-sort") is None
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [number(text) for text in column(browser, "layers", 2)] == sorted(unsorted, reverse=True)
    button.send_keys(Keys.ENTER)  # the focus is still there
    assert head.get_attribute("aria-sort") == "ascending"
    assert [number(text) for text in column(browser, "layers", 2)] == sorted(unsorted)
    sort_button(browser, "layers", 0).click()
    assert head.get_attribute("aria-sort") is None
    assert column(browser, "layers", 0) == sorted(column(browser, "layers", 0))


def test_the_search_hides_the_other_layers(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.driver.find_element(By.ID, "find").send_keys("FC1")
    assert len(column(browser, "layers", 0)) == DEPTH
    assert browser.driver.find_element(By.CSS_SELECTOR, "output[for=find]").text == f"{DEPTH} layers"


def test_a_chosen_layer_is_drawn(browser: Browser, page: Path) -> None:
    browser.open(page)
    chart = browser.driver.find_elements(By.CSS_SELECTOR, "#layers .chart")[1]
    select, label = browser.driver.find_element(By.ID, "layer"), chart.get_attribute("aria-label")
    before = browser.script("return arguments[0].querySelector('canvas').toDataURL()", chart)
    select.send_keys(Keys.ARROW_DOWN)
    assert chart.get_attribute("aria-label") != label
    assert browser.script("return arguments[0].querySelector('canvas').toDataURL()", chart) != before


def test_tables_are_tables(browser: Browser, page: Path) -> None:
    browser.open(page)
    tables = browser.driver.find_elements(By.TAG_NAME, "table")
    assert tables
    for table in tables:
        assert table.find_element(By.TAG_NAME, "caption").text
        heads = table.find_elements(By.CSS_SELECTOR, "thead th")
        assert {head.get_attribute("scope") for head in heads} == {"col"}
        assert table.find_element(By.CSS_SELECTOR, "tbody tr:first-child > :first-child").tag_name == "th"
    for chart in browser.driver.find_elements(By.CSS_SELECTOR, ".chart"):
        assert chart.get_attribute("role") == "img" and chart.get_attribute("aria-label")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.open(page, width, scheme)
    assert browser.script("return document.documentElement.scrollWidth") == width
    assert browser.script("return document.querySelectorAll('.chart canvas').length") == 4
    assert browser.screenshot(f"report-{width}-{scheme}").stat().st_size > 50_000


CONTRASTS = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4));
  return .2126 * r + .7152 * g + .0722 * b;
};
const ground = (one) => {
  const colour = getComputedStyle(one).backgroundColor;
  return colour === "rgba(0, 0, 0, 0)" && one.parentElement ? ground(one.parentElement) : colour;
};
return [...document.querySelectorAll("p, h1, h2, h3, th span, th button, td, dt, dd, a, code, .tag, caption")]
  .filter((one) => one.textContent.trim() && one.offsetParent)
  .map((one) => [light(getComputedStyle(one).color), light(ground(one)), one.textContent])
  .map(([a, b, name]) => [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), name])
  .filter(([ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_aa(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, 1280, scheme)
    assert browser.script(CONTRASTS) == []
