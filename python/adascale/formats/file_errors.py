"""What libraries raise about files becomes ours, which names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._C import write_error
from ..errors import Error, first_line


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Of a damaged file, or one that is gone."""
    try:
        yield
    except Error:
        raise
    except Exception as error:  # boundary: readers raise many kinds
        raise Error(f"{path}: cannot be read: {first_line(error)}") from error


@contextmanager
def writing(path: str, *others: type[Exception]) -> Iterator[None]:
    """Of a full disk and its like. ``others``: a library's errors that hide the system's."""
    try:
        yield
    except (OSError, *others) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is not None:
            raise Error(write_error(path, number)) from error
        cure = "is there room, and may you write there?"
        raise Error(f"{path}: cannot be written: {first_line(error)}; {cure}") from error


def copy_file(source: Path, target: str) -> None:
    with reading(str(source)):
        content = source.read_bytes()
    with writing(target):
        Path(target).write_bytes(content)
