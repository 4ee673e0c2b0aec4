"""Progress of a long run on standard error: bars on a terminal, plain lines elsewhere."""

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from tqdm import tqdm


class ProgressEvent(NamedTuple):
    """One moment of a long run: C++'s ``ProgressEvent``."""

    stage: str
    name: str  # of the stage's pass; empty: the stage is one loop
    step: int
    total: int
    loss: float | None
    seconds_left: float | None
    ends_stage: bool
    is_passing: bool


ShowProgress = Callable[..., None]  # called with the fields of a ProgressEvent
_SECONDS_BETWEEN_LINES, _SECONDS_BETWEEN_BARS = 10.0, 0.1


class Progress:
    """``with Progress(shown) as show``: a :data:`ShowProgress`, or None for no progress."""

    def __init__(self, shown: bool) -> None:
        self._sink = (_Bars() if sys.stderr.isatty() else _Lines()) if shown else None

    def __enter__(self) -> ShowProgress | None:
        return self._sink.show if self._sink else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink:
            self._sink.close()


class _Bars:
    """One bar per stage, which each pass fills anew, with loss and time left.

    Only a stage that came to its end leaves its bar.
    """

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None
        self._shown = 0.0

    def show(self, *fields: Any) -> None:
        event = ProgressEvent(*fields)
        if event.stage != self._stage:
            self.close()
            # Not tqdm's own size: it shows nothing on a terminal that does not tell its size.
            width, height = shutil.get_terminal_size()
            form = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {elapsed}{postfix}"
            size: dict[str, Any] = {"total": event.total or 1, "ncols": width, "nrows": height}
            self._stage, self._bar = event.stage, tqdm(desc=event.stage, bar_format=form, leave=False, **size)
        bar = self._bar
        bar.set_description_str(_title(event), refresh=False)
        bar.set_postfix_str(", ".join([*_loss(event), *_left(event)]), refresh=False)
        bar.total, bar.n = event.total or 1, event.step if event.total else 1
        bar.leave = event.ends_stage and not event.is_passing
        now = time.monotonic()
        if event.ends_stage:
            self.close()
        elif now - self._shown >= _SECONDS_BETWEEN_BARS:
            self._shown = now
            bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


class _Lines:
    """A line at the end of each stage, and every ten seconds in a long one."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._said = 0.0

    def show(self, *fields: Any) -> None:
        event = ProgressEvent(*fields)
        now = time.monotonic()
        if event.stage != self._stage:
            self._stage, self._began, self._said = event.stage, now, now
        is_last = event.ends_stage and not event.is_passing
        if not is_last and now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        count = f"  {event.step}/{event.total}" if event.total else ""
        facts = [*_loss(event), f"{now - self._began:.0f} s", *_left(event)]
        print(f"{_title(event)}{count}  {', '.join(facts)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        sys.stderr.flush()


def _title(event: ProgressEvent) -> str:
    return f"{event.stage}: {event.name}" if event.name else event.stage


def _loss(event: ProgressEvent) -> list[str]:
    return [] if event.loss is None else [f"loss {event.loss:.4g}"]


def _left(event: ProgressEvent) -> list[str]:
    return [] if event.seconds_left is None else [f"{event.seconds_left:.0f} s left"]
