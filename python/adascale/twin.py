"""A second module tree over a model's own tensors, to run it differently without changing the model."""

import copy
from typing import Any

from torch import Tensor, nn

from .errors import Error, first_line


def twin_of(model: nn.Module) -> nn.Module:
    """A copy in eval mode, without a key-value cache, that shares every parameter and buffer with ``model``.

    Its parameters need no gradient. Tied ones stay tied.
    """
    shared: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for parameter in model.parameters():
        shared[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
    try:
        twin = copy.deepcopy(model, shared)
    except Exception as error:  # boundary: an attribute of the model may raise any exception
        raise Error(f"the model cannot be copied to be run block by block: {first_line(error)}") from error
    for module in twin.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "use_cache", False):
            config.use_cache = False
    return twin.eval()


def places_of(model: nn.Module) -> list[tuple[str, Tensor, bool, int, int]]:
    """Every tensor under each of its names: name, tensor, whether it is a parameter, a number of its own for
    each module, and how often the tensor was written to."""
    return [
        (
            f"{path}.{leaf}" if path else leaf,
            tensor,
            leaf in module._parameters,
            id(module),
            _version_of(tensor),
        )
        for path, module in model.named_modules(remove_duplicate=False)
        for leaf, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None
    ]


def _version_of(tensor: Tensor) -> int:
    """Inference tensors do not count in-place writes."""
    return 0 if tensor.is_inference() else tensor._version
