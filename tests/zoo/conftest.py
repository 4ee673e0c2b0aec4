"""Options of the zoo, and the table of models that a whole run writes."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from models_table import write_tables

sys.path.append(str(Path(__file__).parents[2] / "examples" / "python"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("zoo")
    group.addoption("--update-golden", action="store_true", help="rewrite tests/zoo/golden")
    group.addoption("--update-docs", action="store_true", help="write this run's lines into docs/models.md")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Two threads on a busy machine spend more time waiting for each other than working."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("--update-docs"):
        write_tables()
