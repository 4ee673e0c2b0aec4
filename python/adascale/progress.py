"""Progress of a long run on standard error: bars on a terminal, plain lines elsewhere."""

import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tqdm import tqdm

ShowProgress = Callable[[str, int, int, float | None], None]
_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """``with Progress(shown) as show``: ``show(stage, step, total, loss)``, or None for no progress."""

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
    """One bar per stage, with loss and time left."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def show(self, stage: str, step: int, total: int, loss: float | None) -> None:
        if stage != self._stage:
            self.close()
            # Not tqdm's own size: it shows nothing on a terminal that does not tell its size.
            width, height = shutil.get_terminal_size()
            self._stage, self._bar = stage, tqdm(total=total, desc=stage, ncols=width, nrows=height)
        if loss is not None:
            self._bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """A line at the end of each stage, and every ten seconds in a long one."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = self._said = 0.0

    def show(self, stage: str, step: int, total: int, loss: float | None) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._said = stage, now, now
        if step < total and now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        text = f"{stage}  {step}/{total}"
        if loss is not None:
            text += f"  loss {loss:.4g}"
        if step > 0:
            spent = now - self._began
            text += f"  {spent:.0f} s, {spent * (total - step) / step:.0f} s left"
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        sys.stderr.flush()
