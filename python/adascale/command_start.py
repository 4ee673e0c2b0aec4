"""What the command does before torch is loaded; in a user's process it does nothing.

Waiting threads sleep soon: spinning, they take the cores from whatever else runs, and two jobs of two threads
on two cores take many times as long as one after the other. A short spin spares threads that soon have work
again the wait to be woken; ``bench/busy.py`` measures both.

Ctrl-C and SIGTERM end it in one line, as they do later, by ``cli/interruption.h``.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}


def is_command(script: str, words: Sequence[str]) -> bool:
    """Whether ``sys.argv[0]`` and ``sys.orig_argv`` start the command.

    While Python looks for the module of ``-m``, ``sys.argv[0]`` is that; in ``pytest -m adascale`` it is not.
    """
    if script == "-m":
        return words[words.index("-m") + 1 : words.index("-m") + 2] == ["adascale"]
    return os.path.basename(script) == "adascale"


def _end(number: int, _: FrameType | None) -> None:
    os.write(2, b"\nadascale: interrupted; nothing was written\n")
    os._exit(128 + number)


def _start() -> None:
    if not SETTINGS.keys() & os.environ.keys():
        os.environ.update(SETTINGS)
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as the caller wants it
            signal.signal(number, _end)


def hand_over() -> None:
    """From here on C++ says what an interrupted command leaves behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == _end:
            signal.signal(number, signal.SIG_DFL)


if is_command(sys.argv[0], sys.orig_argv) and "torch" not in sys.modules:
    _start()
