"""Progress of a long run on standard error: bars on a terminal, plain lines elsewhere."""

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tqdm import tqdm

# As C++'s ProgressEvent: stage, pass, step, total, loss, seconds left, whether the stage ends, and whether it
# leaves nothing behind then.
ShowProgress = Callable[[str, str, int, int, float | None, float | None, bool, bool], None]
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

    def show(
        self,
        stage: str,
        name: str,
        step: int,
        total: int,
        loss: float | None,
        left: float | None,
        ends: bool,
        passing: bool,
    ) -> None:
        if stage != self._stage:
            self.close()
            # Not tqdm's own size: it shows nothing on a terminal that does not tell its size.
            width, height = shutil.get_terminal_size()
            form = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {elapsed}{postfix}"
            size: dict[str, Any] = {"total": total or 1, "ncols": width, "nrows": height}
            self._stage, self._bar = stage, tqdm(desc=stage, bar_format=form, leave=False, **size)
        bar = self._bar
        bar.set_description_str(f"{stage}: {name}" if name else stage, refresh=False)
        bar.set_postfix_str(", ".join(_facts(loss, left)), refresh=False)
        bar.total, bar.n, bar.leave = total or 1, step if total else 1, ends and not passing
        now = time.monotonic()
        if ends:
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

    def show(
        self,
        stage: str,
        name: str,
        step: int,
        total: int,
        loss: float | None,
        left: float | None,
        ends: bool,
        passing: bool,
    ) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._said = stage, now, now
        is_last = ends and not passing
        if not is_last and now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        text = f"{stage}: {name}" if name else stage
        if total:
            text += f"  {step}/{total}"
        facts = [*_facts(loss, None), f"{now - self._began:.0f} s", *_facts(None, left)]
        print(f"{text}  {', '.join(facts)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        sys.stderr.flush()


def _facts(loss: float | None, left: float | None) -> list[str]:
    facts = [] if loss is None else [f"loss {loss:.4g}"]
    return facts if left is None else [*facts, f"{left:.0f} s left"]
