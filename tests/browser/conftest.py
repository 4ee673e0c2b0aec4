"""`scripts/browser` runs these: pages in headless Chromium, of two widths and two colour schemes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.driver.quit()
