"""A second module tree over a model's own tensors, to run it differently without changing the model."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from . import _C
from .errors import Error, first_line


def twin_of(model: nn.Module, own_buffers: bool = False) -> nn.Module:
    """A copy in eval mode, without a key-value cache, that shares every parameter with ``model``, and its
    buffers unless it is to have its own.

    Its parameters need no gradient. Tied ones stay tied, so that a buffer which shows a parameter is shared.
    """
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    shown = {_storage_of(parameter) for parameter in model.parameters()} - {None} if own_buffers else set()
    for buffer in model.buffers():
        is_copied = own_buffers and _storage_of(buffer) not in shown
        memo[id(buffer)] = copy.deepcopy(buffer.detach(), memo) if is_copied else buffer
    try:
        twin = copy.deepcopy(model, memo)
    except Exception as error:  # boundary: an attribute of the model may raise any exception
        raise Error(f"the model cannot be copied to be run block by block: {first_line(error)}") from error
    for module in twin.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "use_cache", False):
            config.use_cache = False
    return twin.eval()


def places_of(model: nn.Module) -> list[_C.PlacedTensor]:
    """Every tensor under each of its names, as it stands now: writes to it are seen later."""
    return [
        _C.PlacedTensor(f"{path}.{leaf}".lstrip("."), tensor, leaf in module._parameters, id(module))
        for path, module in model.named_modules(remove_duplicate=False)
        for leaf, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None
    ]


def _storage_of(tensor: Tensor) -> int | None:
    """The address of its memory; None: it has none."""
    return tensor.untyped_storage().data_ptr() or None if tensor.layout == torch.strided else None
