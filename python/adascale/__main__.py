"""The ``adascale`` command that pip installs: the C++ binary's, with Python's doors, formats and runtimes."""

import contextlib
import signal
import sys

from . import _C
from .doors import python_doors
from .processes import launched
from .runtimes import python_runtimes


def main() -> int:
    """Runs ``adascale ARGS...``; returns its exit code."""
    # C++ runs without the interpreter, whose own handler would delay Ctrl-C until the end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    trains = sys.argv[1:2] == ["quantize"]
    with launched() if trains else contextlib.nullcontext():
        return _C.run_command(sys.argv[1:], python_doors(), python_runtimes())


if __name__ == "__main__":
    sys.exit(main())
