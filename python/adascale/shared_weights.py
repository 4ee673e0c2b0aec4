"""Operations that every simulated model refuses: it shares the user's weights, whose grids are decided."""

from collections.abc import Callable
from typing import Any, Self

from torch import Tensor

from ._C import option
from .errors import Error


class SharedWeights:
    """Comes before ``nn.Module`` among a class's bases. Its graphs are fixed: eval mode, dtype, device."""

    _adascale_moved_by = f", then simulate it, or give {option('device')} to compute elsewhere"
    """What moves a model to another device, after "convert the model first"."""

    def train(self, mode: bool = True) -> Self:
        """Only ``train(False)``."""
        if mode:
            raise Error("sim.model.train(): it was captured in eval mode and is not trainable")
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Only ``requires_grad_(False)``."""
        if requires_grad:
            raise Error("sim.model.requires_grad_(): simulated graphs give their parameters no gradients")
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # half(), to(), cuda() and similar calls all come here; one that changes no tensor may pass.
        model: Any = self
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            now = fn(tensor)
            if (now.dtype, now.device, now.data_ptr()) != (tensor.dtype, tensor.device, tensor.data_ptr()):
                raise Error(
                    f"sim.model: captured for {tensor.dtype} on {tensor.device} ({name}); "
                    f"convert the model first{self._adascale_moved_by}"
                )
        return self

    def load_state_dict(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Error("sim.model.load_state_dict(): load the weights into the model, then simulate it anew")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        raise Error("sim.model cannot be copied; make another QuantizationSimModel")

    def __reduce__(self) -> Any:
        raise Error("sim.model cannot be pickled; sim.export() writes files")
