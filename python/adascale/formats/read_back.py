"""Compare a written file, read again, with what it should hold; raise Error where they differ."""

from pathlib import Path

import torch
from torch import Tensor

from ..errors import Error


def expect_same(path: str, name: str, got: Tensor, expected: Tensor) -> None:
    """The same dtype, shape and bytes."""
    _expect_kind(path, name, got, expected)
    if not torch.equal(_bytes(got), _bytes(expected)):
        _refuse(path, name, got, expected, _bytes(got).ne(_bytes(expected)).any(1))


def expect_same_numbers(path: str, name: str, got: Tensor, expected: Tensor) -> None:
    """The same dtype, shape and numbers, where 0 is -0."""
    _expect_kind(path, name, got, expected)
    if not torch.equal(got, expected):
        _refuse(path, name, got, expected, got.ne(expected).reshape(-1))


def expect_names(path: str, got: set[str], expected: set[str]) -> None:
    for name in sorted(expected - got):
        raise Error(f"{path}: got no tensor {name}, expected one")
    for name in sorted(got - expected):
        raise Error(f"{path}: got a tensor {name}, which was not written")


def expect_bytes(path: str, content: bytes) -> None:
    if Path(path).read_bytes() != content:
        raise Error(f"{path}: got other bytes than were written")


def _expect_kind(path: str, name: str, got: Tensor, expected: Tensor) -> None:
    if got.dtype != expected.dtype or got.shape != expected.shape:
        kinds = [f"{str(one.dtype).removeprefix('torch.')} {list(one.shape)}" for one in (got, expected)]
        raise Error(f"{path}: {name}: got {kinds[0]}, expected {kinds[1]}")


def _bytes(tensor: Tensor) -> Tensor:
    """[elements, bytes of one]."""
    return tensor.detach().cpu().contiguous().reshape(-1, 1).view(torch.uint8)


def _refuse(path: str, name: str, got: Tensor, expected: Tensor, differs: Tensor) -> None:
    position = int(differs.nonzero()[0])
    place = [int(index) for index in torch.unravel_index(torch.tensor(position), got.shape)]
    one, other = (tensor.reshape(-1)[position].item() for tensor in (got, expected))
    raise Error(f"{path}: {name}: got {one} at {place}, expected {other}")
