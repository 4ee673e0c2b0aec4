"""The interface of a runtime: C++'s ``cli/runtime.h`` in Python's words."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torch import Tensor

from .._C import option
from ..errors import Error
from ..packages import how_to_install, missing

RunBatch = Callable[[dict[str, Tensor]], list[Tensor | None]]
"""One batch, by the program's input names, to the model's flat outputs; None: one that it does not give."""


class Runtime(Protocol):
    """A program that runs exported files."""

    name: str
    files: str
    description: str
    packages: tuple[str, ...]  # by their names on PyPI, without which it does not run

    def open(self, folder: str, inputs: list[str], outputs: list[str | None]) -> RunBatch:
        """Loads the exported file in ``folder``.

        inputs, outputs: names in the program, flat, in its order; an output that is not a tensor has none.
        Raises :class:`adascale.Error` when a file or package is missing, or the runtime refuses the file.
        """


def need_packages(runtime: str, *packages: str) -> None:
    """Raises an error with the ``pip install`` to run when one of them is missing."""
    lacks = missing(packages)
    if lacks:
        raise Error(
            f"{option('runtime', runtime)}: needs the package {', '.join(lacks)}; {how_to_install(lacks)}"
        )


def only_file(runtime: str, folder: str, suffix: str, format_name: str) -> str:
    """The path of the only file in ``folder`` that ends with ``suffix``."""
    found = sorted(path for path in Path(folder).iterdir() if path.name.endswith(suffix))
    if len(found) != 1:
        names = f" ({', '.join(path.name for path in found)})" if found else ""
        raise Error(
            f"{folder}: holds {len(found)} {suffix} files{names}, expected exactly one for "
            f"{option('runtime', runtime)}; quantize with {option('formats', format_name)}"
        )
    return str(found[0])
