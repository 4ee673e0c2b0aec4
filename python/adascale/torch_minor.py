"""Raises unless the running torch has the minor version that the extension was built against."""

import sys

import torch

from .built_with import TORCH_MINOR
from .command_start import is_command


def check_torch(running: str, built_with: str) -> None:
    """``running``: in torch's form, ``2.13.0+cpu``; ``built_with``: ``2.13``."""
    if running.split(".")[:2] != built_with.split("."):
        raise ImportError(
            f"adascale: got torch {running}, expected {built_with}.*, which it was built against; "
            f"pip install 'torch=={built_with}.*', or build adascale anew beside this torch "
            "(pip install --no-build-isolation)"
        )


try:
    check_torch(torch.__version__, TORCH_MINOR)
except ImportError as error:  # boundary: the command's one line
    if is_command(sys.argv[0], sys.orig_argv):
        sys.exit(f"adascale: error: {error}")
    raise
