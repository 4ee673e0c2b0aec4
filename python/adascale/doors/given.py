"""Data given by the caller: files, texts or tensors."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..errors import Error

TEXT_SUFFIXES = (".txt", ".jsonl")
FILE_SUFFIXES = (*TEXT_SUFFIXES, ".safetensors")


@dataclass(frozen=True)
class GivenData:
    """Data in memory: an iterable of texts or records, or batches of tensors."""

    texts: Iterable[Any] | None = None
    batches: list[Any] = field(default_factory=list)


def sort_data(data: Any) -> tuple[list[str], GivenData | None]:
    """Files, or else data in memory. Errors: a mixture, no data, a type that is neither."""
    if isinstance(data, (str, os.PathLike)):
        return [os.fspath(data)], None
    if isinstance(data, Tensor) or (isinstance(data, Mapping) and _is_batch(data)):
        return [], GivenData(batches=[data])
    if isinstance(data, Mapping) or not (isinstance(data, Iterable) or hasattr(data, "__getitem__")):
        raise Error(_wrong(data))
    if not isinstance(data, (list, tuple)):
        return [], _of_iterable(data)
    if not data:
        raise Error("data: got an empty list, expected files, texts or batches of tensors")
    are_files = [_is_file(item) for item in data]
    if all(are_files):
        return [os.fspath(item) for item in data], None
    if any(are_files):
        raise Error(f"data: {data[are_files.index(True)]!s} is a file among texts; give only one of the two")
    return [], _of_items(list(data))


def _of_iterable(data: Iterable[Any]) -> GivenData:
    """A Dataset is read later and only as far as needed, a DataLoader now."""
    if hasattr(data, "column_names") or hasattr(data, "features"):
        return GivenData(texts=data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        first = data[0] if len(data) else None
        if _is_record(first):
            return GivenData(texts=data)
    items = list(data)
    if not items:
        raise Error("data: the iterable gave nothing; a generator can be read only once")
    return _of_items(items)


def _of_items(items: list[Any]) -> GivenData:
    if all(_is_record(item) for item in items):
        return GivenData(texts=items)
    if all(_is_batch(item) for item in items):
        return GivenData(batches=items)
    kinds = sorted({type(item).__name__ for item in items})
    raise Error(
        f"data: got a list of {', '.join(kinds)}, expected texts, records with 'text' or 'messages', "
        "tensors, or dicts of tensors"
    )


def _is_file(item: Any) -> bool:
    if isinstance(item, os.PathLike):
        return True
    return isinstance(item, str) and item.endswith(FILE_SUFFIXES) and "\n" not in item


def _is_record(item: Any) -> bool:
    return isinstance(item, str) or (isinstance(item, Mapping) and ("text" in item or "messages" in item))


def _is_batch(item: Any) -> bool:
    if isinstance(item, Mapping):
        return bool(item) and all(isinstance(value, Tensor) for value in item.values())
    if isinstance(item, (list, tuple)):
        return bool(item) and all(isinstance(value, Tensor) for value in item)
    return isinstance(item, Tensor)


def _wrong(data: Any) -> str:
    return (
        f"data: got {type(data).__name__}, expected a file or files, a list of texts, a Dataset, a tensor, "
        "or a list of tensors or dicts of tensors"
    )
