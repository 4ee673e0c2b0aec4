"""Weights that occur in several places of a live model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import _C
from .errors import Error
from .live_blocks import LiveBlock


@dataclass(frozen=True)
class _Place:
    """A place that holds a tensor. ``block``: its number; None outside the blocks."""

    name: str
    block: int | None
    module: nn.Module
    tensor: Tensor


def check_ties(model: nn.Module, blocks: Sequence[LiveBlock]) -> None:
    """Raises if a block's quantized weight is also another block's or one outside: it would be untied.

    Ties within a block stay tied.
    """
    inside = list(_inside(model, blocks))
    names = {place.name for place in inside}
    seen: dict[int, list[_Place]] = {}
    for place in (*inside, *(other for other in _outside(model) if other.name not in names)):
        if place.tensor.layout != torch.strided or not place.tensor.data_ptr():
            continue
        same = seen.setdefault(place.tensor.data_ptr(), [])
        for first in same:
            if first.block != place.block and not _follows(first, place):
                _check_tie(first, place, blocks)
        same.append(place)


def _inside(model: nn.Module, blocks: Sequence[LiveBlock]) -> Iterator[_Place]:
    for number, block in enumerate(blocks):
        for name, tensor in block.captured.tensors.items():
            path = name.rpartition(".")[0]
            if path == block.path or path.startswith(f"{block.path}."):  # a constant has no module
                yield _Place(name, number, model.get_submodule(path), tensor)


def _outside(model: nn.Module) -> Iterator[_Place]:
    for path, module in model.named_modules():
        for leaf, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                yield _Place(f"{path}.{leaf}" if path else leaf, None, module, tensor)


def _follows(first: _Place, second: _Place) -> bool:
    """A block's module under another name outside shows the block's result."""
    return first.module is second.module and None in (first.block, second.block)


def _check_tie(first: _Place, second: _Place, blocks: Sequence[LiveBlock]) -> None:
    quantized = [
        place
        for place in (first, second)
        if place.block is not None and place.name in _C.weights_on_grid(blocks[place.block].core)
    ]
    if quantized:
        off = ", ".join(f"'{place.name.rpartition('.')[0]}': {{'param_bw': 32}}" for place in quantized)
        raise Error(
            f"{first.name} and {second.name} are one tensor, but each block is quantized alone, which would "
            f"untie them; leave them in full precision with layer_config={{{off}}}, or untie them first"
        )
