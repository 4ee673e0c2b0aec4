"""What all pages have in common: they load nothing, fit on a phone, are read in the dark or without eyes."""

from pathlib import Path

import pytest
from chromium import Browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

KINDS = ["report", "evaluation", "evaluation-outputs", "inspection"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(kind: str, pages: dict[str, Path]) -> Path:
    return pages[kind]


def test_nothing_is_loaded_and_nothing_complains(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.complaints() == []
    assert browser.script("return performance.getEntriesByType('resource').length") == 0


def test_tables_are_tables(browser: Browser, page: Path) -> None:
    browser.open(page)
    tables = browser.driver.find_elements(By.TAG_NAME, "table")
    assert tables
    for table in tables:
        assert table.find_element(By.TAG_NAME, "caption").text
        heads = table.find_elements(By.CSS_SELECTOR, "thead th")
        assert {head.get_attribute("scope") for head in heads} == {"col"}
        assert table.find_element(By.CSS_SELECTOR, "tbody tr:first-child > :first-child").tag_name == "th"
    for chart in browser.driver.find_elements(By.CSS_SELECTOR, ".chart, .bar"):
        label = chart.get_attribute("aria-label")
        assert chart.get_attribute("role") == "img" and label
        assert not {"undefined", "NaN", "null"} & set(label.replace(",", " ").split())


def test_the_text_has_no_holes(browser: Browser, page: Path) -> None:
    browser.open(page)
    words = set(browser.driver.find_element(By.TAG_NAME, "body").text.split())
    assert not {"undefined", "NaN", "null", "[object", "Infinity"} & words


def test_a_keyboard_reaches_the_sections(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.script("return document.activeElement.className") == "skip"
    links = browser.driver.find_elements(By.CSS_SELECTOR, "nav a")
    for link in links:
        target = browser.driver.find_element(By.CSS_SELECTOR, link.get_attribute("hash") or "")
        assert (
            target.get_attribute("aria-labelledby")
            and target.find_element(By.TAG_NAME, "h2").text == link.text
        )
    links[-1].send_keys(Keys.ENTER)
    assert browser.script("return location.hash") == links[-1].get_attribute("hash")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits(browser: Browser, page: Path, kind: str, width: int, scheme: str) -> None:
    browser.open(page, width, scheme)
    assert browser.script("return document.documentElement.scrollWidth") == width
    charts, drawn = (
        browser.script(f"return document.querySelectorAll('{what}').length")
        for what in (".chart", ".chart canvas")
    )
    assert charts == drawn == {"report": 4, "evaluation": 2}.get(kind, 0)
    assert browser.screenshot(f"{kind}-{width}-{scheme}").stat().st_size > 20_000


def test_it_prints(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.media("print")
    try:
        assert browser.script(
            "return [...document.querySelectorAll('.scroll')]"
            ".every(one => one.scrollHeight <= one.clientHeight + 1)"
        )
        assert not browser.driver.find_element(By.TAG_NAME, "nav").is_displayed()
    finally:
        browser.media("screen")


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
