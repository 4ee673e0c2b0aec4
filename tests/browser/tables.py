"""The tables of a page, as a reader sees them."""

from typing import Any

from chromium import Browser
from selenium.webdriver.common.by import By


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
