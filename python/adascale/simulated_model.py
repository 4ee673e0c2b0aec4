"""``sim.model``: the user's module by shape and names, run as the C++ graph."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import _C
from .capture import Capture
from .devices import snapshot
from .errors import Error
from .shared_weights import SharedWeights
from .signature import CallSignature

# The attributes that training and evaluation loops read beside calling the model.
_SHOWN_ATTRIBUTES = ("config", "dtype")


class StopForward(BaseException):
    """Ends a forward function once its inputs are recorded; passes through ``except Exception``."""


class _Place(nn.Module):
    """Takes the place of a user's module and holds its parameters' names; its class name is shown."""

    def __init__(self, shown_as: str) -> None:
        super().__init__()
        self._adascale_shown_as = shown_as
        self.training = False

    def _get_name(self) -> str:
        return self._adascale_shown_as

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise Error(f"{self._adascale_shown_as}: only the whole model runs in simulation; call sim.model")


@dataclass
class _Simulation:
    """All attributes of a simulated model beside the user's, under one name that no model uses."""

    core: _C.Sim
    signature: CallSignature
    out_spec: pytree.TreeSpec
    shown_as: str
    recorded: list[list[Any]] | None = None  # flat inputs, one entry per call, while they are recorded


class SimulatedModel(SharedWeights, nn.Module):
    """Runs the quantized graph: the model's own arguments by position or name, its own outputs.

    Parameters and buffers have the user's names; quantized ones take their quantized values when AdaScale
    folds them. They need no gradient. Inputs are moved to ``device``, outputs are there. The graph is fixed
    to eval mode, dtype and device: ``eval()`` does nothing, and whatever would change one of these raises
    :class:`adascale.Error`.
    """

    def __init__(self, model: nn.Module, captured: Capture, core: _C.Sim) -> None:
        super().__init__()
        self._adascale = _Simulation(core, captured.signature, captured.out_spec, type(model).__name__)
        self.training = False
        _mirror_modules(model, self)
        _mirror_tensors(model, self)
        if set(core.state_names()) != set(captured.tensors):  # batch norms were folded
            follow_names(self, set(captured.tensors), core)
            show_folded_weights(self, [core])
        for name in _SHOWN_ATTRIBUTES:
            if hasattr(model, name) and not hasattr(self, name):
                setattr(self, name, getattr(model, name))
        self.device = torch.device(core.device)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model's simulated outputs. Errors: inputs that do not fit; a shared weight that was edited."""
        simulation = self._adascale
        inputs = simulation.signature.flatten(args, kwargs)
        if simulation.recorded is not None:
            simulation.recorded.append(snapshot(inputs))
            raise StopForward
        return pytree.tree_unflatten(simulation.core.call(inputs), simulation.out_spec)

    def _get_name(self) -> str:
        return f"SimulatedModel of {self._adascale.shown_as}"


@contextmanager
def recording(model: Any) -> Iterator[list[Any]]:
    """Within it a ``sim.model``'s calls store their inputs and raise ``StopForward`` instead of running."""
    recorded: list[Any] = []
    model._adascale.recorded = recorded
    try:
        yield recorded
    finally:
        model._adascale.recorded = None


def show_folded_weights(model: nn.Module, cores: Iterable[_C.Sim]) -> None:
    """Shows the present weights of the simulations in ``model``; folded ones are new unless ``in_place``."""
    known: dict[int, nn.Parameter] = {}
    shown = dict(model.named_parameters(remove_duplicate=False))
    for core in cores:
        for name in core.state_names():
            now = core.state(name)
            if name in shown and shown[name].data_ptr() != now.data_ptr():
                path, _, leaf = name.rpartition(".")
                model.get_submodule(path)._parameters[leaf] = known.setdefault(id(now), _without_grad(now))


def read_on_demand(model: nn.Module, core: _C.Sim) -> None:
    """Whoever reads one of the simulation's parameters in ``model`` gets its present values, made anew for
    each read. ``parameters()`` and ``state_dict()`` have them as they came."""
    names: dict[str, dict[str, str]] = {}
    for name in core.state_names():
        path, _, leaf = name.rpartition(".")
        if leaf in model.get_submodule(path)._parameters:
            names.setdefault(path, {})[leaf] = name
    for path, by_leaf in names.items():
        module = model.get_submodule(path)
        module.__class__ = _reading(type(module), by_leaf, core)


def _reading(own: type[nn.Module], names: dict[str, str], core: _C.Sim) -> type[nn.Module]:
    # nn.Module's parameters are no attributes that Python finds: each read ends here.
    def read(self: nn.Module, leaf: str) -> Any:
        return core.state(names[leaf]) if leaf in names else own.__getattr__(self, leaf)

    return type(own.__name__, (own,), {"__getattr__": read, "__module__": own.__module__})


def follow_names(model: nn.Module, captured: set[str], core: _C.Sim) -> None:
    """Removes from ``model`` those ``captured`` tensors that the program lost; adds the ones it gained."""
    now = set(core.state_names())
    for name in captured - now:
        path, _, leaf = name.rpartition(".")
        place = model.get_submodule(path)
        place._parameters.pop(leaf, None)
        place._buffers.pop(leaf, None)
    for name in now - captured:
        path, _, leaf = name.rpartition(".")
        model.get_submodule(path).register_parameter(leaf, _without_grad(core.state(name)))


def _without_grad(tensor: Tensor) -> nn.Parameter:
    # detach() keeps storage and version counter, so that an edit through sim.model is noticed too.
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
