"""Raises unless the running torch has the minor version that the extension was built against."""

import torch

from .built_with import TORCH_MINOR


def check_torch(running: str, built_with: str) -> None:
    """``running``: in torch's form, ``2.13.0+cpu``; ``built_with``: ``2.13``."""
    if running.split(".")[:2] != built_with.split("."):
        raise ImportError(
            f"adascale: got torch {running}, expected {built_with}.*, which it was built against; "
            f"pip install 'torch=={built_with}.*', or build adascale anew beside this torch "
            "(pip install --no-build-isolation)"
        )


check_torch(torch.__version__, TORCH_MINOR)
