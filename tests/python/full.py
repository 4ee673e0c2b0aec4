"""Values of a parametrized test of which the default run takes the first ones."""

from collections.abc import Iterable
from typing import Any

import pytest


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """The values; those behind the first ``count`` run with --full. A tuple has a value for each name."""
    found = list(values)
    rest = [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.full)
        for value in found[count:]
    ]
    return found[:count] + rest
