"""What the command does before torch is loaded; in a user's process it does nothing.

Waiting threads sleep soon: spinning, they take the cores from whatever else runs, and two jobs of two threads
on two cores take many times as long as one after the other. A short spin spares threads that soon have work
again the wait to be woken; ``bench/busy.py`` measures both.

Ctrl-C and SIGTERM end it in one line, as they do later, by ``cli/interruption.h``.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}


def is_command(words: Sequence[str]) -> bool:
    """Whether ``sys.orig_argv`` starts the command: ``adascale ...`` or ``python -m adascale ...``."""
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    is_module = "-m" in words and words[words.index("-m") + 1 : words.index("-m") + 2] == ["adascale"]
    return is_module or os.path.basename(script) == "adascale"


def _end(number: int, _: FrameType | None) -> None:
    os.write(2, b"\nadascale: interrupted; nothing was written\n")
    os._exit(128 + number)


def _start() -> None:
    if not _SETTINGS.keys() & os.environ.keys():
        os.environ.update(_SETTINGS)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as the caller wants it
            signal.signal(number, _end)


def hand_over() -> None:
    """From here on C++ says what an interrupted command leaves behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == _end:
            signal.signal(number, signal.SIG_DFL)


if is_command(sys.orig_argv) and "torch" not in sys.modules:
    _start()
