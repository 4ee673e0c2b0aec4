"""Lets a benchmark hear the progress of ``adascale.quantize``, in the place of the bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adascale.progress import ProgressEvent

import adascale


def listen(hear: Callable[[ProgressEvent | None], None]) -> None:
    """From now on each event goes to ``hear``, and None at the end of a run that succeeds."""

    @contextmanager
    def progress(_shown: bool) -> Iterator[Callable[..., None]]:
        def tell(*fields: Any) -> None:
            hear(ProgressEvent(*fields))

        yield tell
        hear(None)

    sys.modules[adascale.quantize.__module__].Progress = progress  # type: ignore[attr-defined]
