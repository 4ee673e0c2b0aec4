"""The ``adascale`` command that pip installs: the C++ binary's, with Python's doors, formats and runtimes."""

import contextlib
import sys

from . import _C
from .command_start import hand_over
from .doctor import Doctor
from .doors import python_doors
from .processes import launched
from .runtimes import python_runtimes
from .runtimes.lm_eval import LmEval


def main() -> int:
    """Runs ``adascale ARGS...``; returns its exit code."""
    trains = sys.argv[1:2] == ["quantize"]
    hand_over()
    with launched() if trains else contextlib.nullcontext():
        return _C.run_command(sys.argv[1:], python_doors(), python_runtimes(), [Doctor()], LmEval())


if __name__ == "__main__":
    sys.exit(main())
