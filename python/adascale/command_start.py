"""Lets the command's waiting threads sleep soon: spinning, they take the cores from whatever else runs.

A short spin spares threads that soon have work again the wait to be woken; ``bench/busy.py`` measures both.
Two jobs of two threads on two cores take many times as long as one after the other, each spinning while the
other has work. Only the command does this: in a user's process the environment is the user's.
"""

import os
import sys
from collections.abc import Sequence


def is_command(words: Sequence[str]) -> bool:
    """Whether ``sys.orig_argv`` starts the command: ``adascale ...`` or ``python -m adascale ...``."""
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    is_module = "-m" in words and words[words.index("-m") + 1 : words.index("-m") + 2] == ["adascale"]
    return is_module or os.path.basename(script) == "adascale"


_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}

if is_command(sys.orig_argv) and "torch" not in sys.modules and not _SETTINGS.keys() & os.environ.keys():
    os.environ.update(_SETTINGS)
