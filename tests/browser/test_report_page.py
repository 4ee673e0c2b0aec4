"""report.html as its readers use it: sorting, searching, choosing, by keyboard."""

from pathlib import Path

import pytest
from chromium import Browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from tables import column, number, sort_button

DEPTH = 5


@pytest.fixture
def page(pages: dict[str, Path]) -> Path:
    return pages["report"]


def test_it_has_all_sections(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.driver.title == "ConsecutiveBlocks: adascale report"
    headings = {heading.text for heading in browser.driver.find_elements(By.TAG_NAME, "h2")}
    assert headings >= {"How do I load it?", "Blocks", "Layers", "Activations", "The run"}
    assert len(column(browser, "blocks", 0)) == DEPTH
    assert len(column(browser, "layers", 0)) == 2 * DEPTH


def test_a_block_that_diverged_says_so_whatever_its_note(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    html = page.read_text()
    first = html.index('"kept":true,"diverged":false')
    marked = html[:first] + html[first:].replace(
        '"kept":true,"diverged":false', '"kept":false,"diverged":true', 1
    )
    (tmp_path / "diverged.html").write_text(marked)
    browser.open(tmp_path / "diverged.html")
    results = column(browser, "blocks", 7)
    assert results.count("diverged") == 1 and results[0] == "diverged"


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
