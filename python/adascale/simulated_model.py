"""``sim.model``: the user's module in shape and names, the C++ graph in deed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import _C
from .capture import Capture
from .errors import Error


class _StopForward(BaseException):
    """Ends a forward function once its inputs are recorded; passes through ``except Exception``."""


class _Place(nn.Module):
    """Stands where a module of the user's stood and holds its parameters' names; its class name is shown."""

    def __init__(self, shown_as: str) -> None:
        super().__init__()
        self._shown_as = shown_as
        self.training = False

    def _get_name(self) -> str:
        return self._shown_as

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise Error(f"{self._shown_as}: only the whole model runs in simulation; call sim.model")


class SimulatedModel(nn.Module):
    """Runs the quantized graph: the model's own arguments by position or name, its own outputs.

    Parameters and buffers have the user's names; quantized ones take their quantized values when AdaScale
    folds them. They need no gradient. The graph is fixed to eval mode, dtype and device: ``eval()`` does
    nothing, and whatever would change one of these raises :class:`adascale.Error`.
    """

    def __init__(self, model: nn.Module, captured: Capture, core: _C.Sim) -> None:
        super().__init__()
        self._core = core
        self._signature = captured.signature
        self._out_spec = captured.out_spec
        self._recorded: list[list[Any]] | None = None
        self._shown_as = type(model).__name__
        self.training = False
        _mirror_modules(model, self)
        _mirror_tensors(model, self)
        self._shared_names = [name for name in captured.tensors if name in self.state_dict()]
        if hasattr(model, "config") and not isinstance(model.config, nn.Module):
            self.config = model.config

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's outputs, simulated. Errors: inputs that do not fit; a shared weight edited since."""
        inputs = self._signature.flatten(args, kwargs)
        if self._recorded is not None:
            self._recorded.append([_snapshot(value) for value in inputs])
            raise _StopForward
        return pytree.tree_unflatten(self._core.call(inputs), self._out_spec)

    @contextmanager
    def _recording(self) -> Iterator[list[list[Any]]]:
        """Within it calls store their flat inputs and raise ``_StopForward`` instead of running."""
        self._recorded = []
        try:
            yield self._recorded
        finally:
            self._recorded = None

    def _refresh(self) -> None:
        """Shows the weights as they are now; those folded are new tensors unless ``in_place``."""
        known: dict[int, nn.Parameter] = {}
        for name in self._shared_names:
            path, _, leaf = name.rpartition(".")
            place = self.get_submodule(path)
            if leaf in place._parameters:
                now = self._core.state(name)
                place._parameters[leaf] = known.setdefault(id(now), _without_grad(now))

    def train(self, mode: bool = True) -> Self:
        """Only ``train(False)``: simulation runs the model as captured, in eval mode."""
        if mode:
            raise Error("sim.model.train(): the graph was captured in eval mode and is not trainable")
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Only ``requires_grad_(False)``: the simulated graph gives no gradients."""
        if requires_grad:
            raise Error("sim.model.requires_grad_(): the simulated graph gives its parameters no gradients")
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Refused: weights are shared with the user's model and their grids are decided."""
        raise Error("sim.model.load_state_dict(): load the weights into the model, then simulate it anew")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # half(), to(), cuda() and their kin all come here; what leaves every tensor as it is may pass.
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            now = fn(tensor)
            if (
                now.dtype != tensor.dtype
                or now.device != tensor.device
                or now.data_ptr() != tensor.data_ptr()
            ):
                raise Error(
                    f"sim.model: the graph is captured for {tensor.dtype} on {tensor.device} ({name}); "
                    "convert the model first, then simulate it"
                )
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        raise Error("sim.model cannot be copied; make another QuantizationSimModel")

    def __reduce__(self) -> Any:
        raise Error("sim.model cannot be pickled; sim.export() writes files")

    def _get_name(self) -> str:
        return f"SimulatedModel of {self._shown_as}"


def _snapshot(value: Any) -> Any:
    # A copy: a loader may fill one buffer again and again. No inference tensor: it cannot be trained on.
    with torch.inference_mode(False):
        return value.detach().clone() if isinstance(value, Tensor) else value


def _without_grad(tensor: Tensor) -> nn.Parameter:
    # detach() keeps storage and version counter, so that an edit through sim.model is noticed as well.
    return nn.Parameter(tensor.detach(), requires_grad=False)


def _mirror_modules(model: nn.Module, mirror: nn.Module) -> None:
    """Gives ``mirror`` places under the names of the model's modules; one used twice is one place."""
    places: dict[int, nn.Module] = {id(model): mirror}
    for path, module in model.named_modules(remove_duplicate=False):
        if not path:
            continue
        parent, _, leaf = path.rpartition(".")
        place = places.setdefault(id(module), _Place(type(module).__name__))
        mirror.get_submodule(parent).register_module(leaf, place)


def _mirror_tensors(model: nn.Module, mirror: nn.Module) -> None:
    """Registers the model's tensors under their names; tied parameters stay one parameter."""
    known: dict[int, nn.Parameter] = {}
    for path, module in model.named_modules():
        place = mirror.get_submodule(path)
        for name, parameter in module._parameters.items():
            tied = None if parameter is None else known.setdefault(id(parameter), _without_grad(parameter))
            place.register_parameter(name, tied)
        for name, buffer in module._buffers.items():
            kept = None if buffer is None else buffer.detach()
            place.register_buffer(name, kept, persistent=name not in module._non_persistent_buffers_set)
