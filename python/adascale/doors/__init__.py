"""Kinds of MODEL that only Python can open, for the command and for :func:`adascale.quantize`."""

from .door import Door
from .folder import FolderDoor
from .function import FunctionDoor
from .module import ModuleDoor

__all__ = ["FolderDoor", "FunctionDoor", "ModuleDoor", "python_doors"]


def python_doors() -> list[Door]:
    """The command's doors beside C++'s own for ``.pt2``."""
    return [FolderDoor(), FunctionDoor()]
