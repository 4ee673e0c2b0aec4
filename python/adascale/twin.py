"""A second module tree over a model's own tensors, to run it differently without changing the model."""

import copy
from collections.abc import Callable, Container
from typing import Any, Self

from torch import Tensor, nn

from .errors import Error, first_line
from .shared_weights import SharedWeights


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


class SharedTensors:
    """The tensors of a twin, watched for edits."""

    def __init__(self, twin: nn.Module) -> None:
        tensors = (*twin.named_parameters(), *twin.named_buffers())
        self._seen = {name: (tensor, version_of(tensor)) for name, tensor in tensors}

    def forget_changed(self) -> None:
        """Accepts all writes up to now: the model writes to some tensors as it runs, e.g. a counter."""
        self._seen = {name: seen for name, seen in self._seen.items() if version_of(seen[0]) == seen[1]}

    def forget(self, names: Container[str]) -> None:
        """Stops watching these; other code does."""
        self._seen = {name: seen for name, seen in self._seen.items() if name not in names}

    def check(self) -> None:
        """Raises if one was edited."""
        for name, (tensor, version) in self._seen.items():
            if version_of(tensor) != version:
                raise Error(
                    f"{name}: the tensor was changed after the simulation was made, and they share it; "
                    "make a new one"
                )


def version_of(tensor: Tensor) -> int:
    """The number of in-place writes to it; inference tensors do not count them."""
    return 0 if tensor.is_inference() else tensor._version


class FixedModule(SharedWeights):
    """The operations that a simulated live model refuses: changes of its mode, dtype, device or weights."""

    def train(self, mode: bool = True) -> Self:
        if mode:
            raise Error("sim.model.train(): its blocks were captured in eval mode and are not trainable")
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        if requires_grad:
            raise Error("sim.model.requires_grad_(): simulated blocks give their parameters no gradients")
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for name, tensor in self.state_dict(keep_vars=True).items():  # type: ignore[attr-defined]
            now = fn(tensor)
            if now.dtype != tensor.dtype or now.device != tensor.device:
                raise Error(
                    f"sim.model: its blocks are captured for {tensor.dtype} on {tensor.device} ({name}); "
                    "convert the model first, or move it, then simulate it"
                )
        return self
