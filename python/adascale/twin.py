"""A second module tree over a model's own tensors, to run it otherwise without touching the model."""

import copy
from collections.abc import Callable
from typing import Any, Self

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
    except Exception as error:  # boundary: whatever an attribute of the model's raises
        raise Error(f"the model cannot be copied to be run block by block: {first_line(error)}") from error
    for module in twin.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "use_cache", False):
            config.use_cache = False
    return twin.eval()


class FixedModule:
    """What a simulated live model refuses: whatever would change its mode, dtype, device or weights."""

    def train(self, mode: bool = True) -> Self:
        if mode:
            raise Error("sim.model.train(): its blocks were captured in eval mode and are not trainable")
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        if requires_grad:
            raise Error("sim.model.requires_grad_(): simulated blocks give their parameters no gradients")
        return self

    def load_state_dict(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Error("sim.model.load_state_dict(): load the weights into the model, then simulate it anew")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for name, tensor in self.state_dict(keep_vars=True).items():  # type: ignore[attr-defined]
            now = fn(tensor)
            if now.dtype != tensor.dtype or now.device != tensor.device:
                raise Error(
                    f"sim.model: its blocks are captured for {tensor.dtype} on {tensor.device} ({name}); "
                    "convert the model first, then simulate it"
                )
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        raise Error("sim.model cannot be copied; make another QuantizationSimModel")

    def __reduce__(self) -> Any:
        raise Error("sim.model cannot be pickled; sim.export() writes files")
