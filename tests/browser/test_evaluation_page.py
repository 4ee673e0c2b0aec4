"""The pages of evaluate and inspect as their readers use them."""

from pathlib import Path

from chromium import Browser
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from tables import column, number, sort_button


def headings(browser: Browser) -> set[str]:
    return {heading.text for heading in browser.driver.find_elements(By.TAG_NAME, "h2")}


def test_tokens_are_shown_by_position_and_by_sample(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["evaluation"])
    assert browser.driver.title == "quantized: adascale evaluation"
    assert headings(browser) == {
        "KL divergence per token",
        "Outputs",
        "Worst samples",
        "The runtime",
        "The evaluation",
    }
    assert column(browser, "outputs", 1) == ["simulation", "transformers"]
    worst = [number(text) for text in column(browser, "worst", 1)]
    assert len(worst) == 10 and worst == sorted(worst, reverse=True)
    assert any(word in "".join(column(browser, "worst", 4)) for word in ("quick", "wizards", "lazy"))
    assert all(text.startswith('"') for text in column(browser, "worst", 5))


def test_an_output_is_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["evaluation"])
    charts = browser.driver.find_elements(By.CSS_SELECTOR, "#tokens .chart")
    labels = [chart.get_attribute("aria-label") or "" for chart in charts]
    assert all("run by transformers" in label for label in labels)
    browser.driver.find_element(By.ID, "output").send_keys(Keys.ARROW_DOWN)
    assert all("run by the simulation" in (chart.get_attribute("aria-label") or "") for chart in charts)
    browser.driver.find_element(By.ID, "worst-output").send_keys(Keys.ARROW_DOWN)
    assert len(column(browser, "worst", 0)) == 10


def test_other_outputs_are_shown_by_sample(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["evaluation-outputs"])
    assert headings(browser) == {"Outputs", "Worst samples", "The evaluation"}
    worst = [number(text) for text in column(browser, "worst", 1)]
    assert len(worst) == 9 and worst == sorted(worst)


def test_the_inspection_says_what_is_held_and_what_would_be(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["inspection"])
    assert headings(browser) == {"What it holds", "Blocks", "Layers", "In full precision", "Inputs"}
    assert len(column(browser, "stored", 0)) == len(column(browser, "layers", 0)) == 14
    browser.driver.find_element(By.ID, "find").send_keys("mlp")
    assert len(column(browser, "layers", 0)) == 6
    sort_button(browser, "layers", 5).click()
    sizes = [number(text.removesuffix(" kB")) for text in column(browser, "layers", 5)]
    assert sizes == sorted(sizes, reverse=True)
