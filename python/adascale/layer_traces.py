"""Whether a shortened model is computed as the whole one: both run once on tensors without values.

The graph of a shortened model stands for the whole only if the model's own loop treats every layer alike. So
each operator of the whole model is recorded, by the layer that it belongs to, with its numbers and with where
its tensors come from, and compared with what the shortened model does in that layer's place.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from .errors import first_line
from .repeated_layers import NotRepeated, Stack, shortened
from .signature import Call

BEFORE, AFTER = -1, -2  # places in a trace that are no layer


@dataclass
class Trace:
    """A run of a model, by the calls of one stack's layers."""

    calls: list[int] = field(default_factory=list)  # positions of the layers, as they were called
    steps: dict[int, list[Any]] = field(
        default_factory=dict
    )  # by position, BEFORE the first and AFTER the last
    between: int = 0  # operators between two layers
    outputs: list[Any] = field(default_factory=list)


def check_traces(model: nn.Module, call: Call, stacks: list[Stack]) -> None:
    """Raises NotRepeated where the whole model computes something else than its stacks stand for."""
    for stack in stacks:
        try:
            whole = _trace(model, call, stack.layers)
            with shortened(model, [stack]):
                short = _trace(model, call, [*stack.layers[: stack.few], stack.layers[stack.probe]])
        except NotRepeated:
            raise
        except Exception as error:  # boundary: the model may need values, as torch.export lets some do
            raise NotRepeated(f"it does not run on tensors without values: {first_line(error)}") from error
        _compare(stack, whole, short)


def _compare(stack: Stack, whole: Trace, short: Trace) -> None:
    for trace, count in ((whole, len(stack.layers)), (short, stack.few + 1)):
        if trace.calls != list(range(count)):
            raise NotRepeated(f"{stack.path}: its layers are not each called once, in their order")
        if trace.between:
            raise NotRepeated(f"{stack.path}: the model computes something between its layers")
    for place, what in ((BEFORE, "before its layers"), (AFTER, "behind its layers")):
        if whole.steps.get(place, []) != short.steps.get(place, []):
            raise NotRepeated(f"{stack.path}: what is computed {what} depends on their number")
    if whole.outputs != short.outputs:
        raise NotRepeated(f"{stack.path}: the model's outputs depend on the number of its layers")
    for index, pattern in enumerate(stack.patterns):
        if whole.steps.get(index) != short.steps.get(pattern):
            raise NotRepeated(
                f"{stack.path}.{index}: something else is computed there than in layer {pattern}"
            )


def _trace(model: nn.Module, call: Call, layers: list[nn.Module]) -> Trace:
    from torch._subclasses.fake_tensor import FakeTensorMode

    recorder = _Recorder(model, layers)
    with _as_exported(), FakeTensorMode(allow_non_fake_inputs=True) as fake, recorder.watching():
        args, kwargs = pytree.tree_map_only(Tensor, fake.from_tensor, call)
        recorder.know_inputs((args, kwargs))
        with _Dispatch(recorder):
            outputs = model(*args, **kwargs)
    recorder.finish(outputs)
    return recorder.trace


@contextmanager
def _as_exported() -> Iterator[None]:
    """Models ask torch whether they are exported, and then take another way."""
    names = [name for name in ("_is_exporting_flag", "_is_compiling_flag") if hasattr(torch.compiler, name)]
    before = {name: getattr(torch.compiler, name) for name in names}
    try:
        for name in names:
            setattr(torch.compiler, name, True)
        yield
    finally:
        for name, value in before.items():
            setattr(torch.compiler, name, value)


class _Dispatch(TorchDispatchMode):
    """Sees every operator, below autograd."""

    def __init__(self, recorder: "_Recorder") -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self._recorder.see(func, (args, kwargs or {}), result)
        return result


class _Recorder:
    def __init__(self, model: nn.Module, layers: list[nn.Module]) -> None:
        self.trace, self._layers = Trace(), layers
        self._place = BEFORE
        self._labels: dict[int, Any] = {}
        self._held: list[Any] = []  # so that no other tensor gets the number of one that is gone
        self._counts: dict[int, int] = {}
        for position, layer in enumerate(layers):
            self._name(layer, position)
        self._name(model, BEFORE)

    def _name(self, module: nn.Module, position: int) -> None:
        """Tensors by all their names in it; a layer's own ones first."""
        names: dict[int, list[str]] = {}
        for name, tensor in (
            *module.named_parameters(remove_duplicate=False),
            *module.named_buffers(remove_duplicate=False),
        ):
            names.setdefault(id(tensor), []).append(name)
            self._held.append(tensor)
        for tensor, own in names.items():
            # Names outside the layers tell where a stack stands, and not how long it is.
            self._labels.setdefault(tensor, (position, tuple(own) if position >= 0 else own[0]))

    def know_inputs(self, call: Call) -> None:
        for number, leaf in enumerate(pytree.tree_leaves(call)):
            if isinstance(leaf, Tensor):
                self._labels[id(leaf)] = (BEFORE, f"input {number}")
                self._held.append(leaf)

    @contextmanager
    def watching(self) -> Iterator[None]:
        with ExitStack() as hooks:
            for position, layer in enumerate(self._layers):
                hooks.enter_context(layer.register_forward_pre_hook(self._enter(position), prepend=True))
                hooks.enter_context(layer.register_forward_hook(self._leave))
            yield

    def _enter(self, position: int) -> Callable[..., None]:
        def enter(*_: Any) -> None:
            if self._place >= 0:
                raise NotRepeated("a layer is called within another")
            self.trace.calls.append(position)
            self.trace.between += len(self.trace.steps.pop(AFTER, []))
            self._place = position

        return enter

    def _leave(self, _module: Any, _given: Any, output: Any) -> None:
        # By its place in the output: layers of another kind have other numbers of operators.
        for number, leaf in enumerate(pytree.tree_leaves(output)):
            if self._labels.get(id(leaf), (AFTER,))[0] == self._place:
                self._labels[id(leaf)] = (self._place, f"output {number}")
        self._place = AFTER

    def see(self, func: Any, given: Any, result: Any) -> None:
        leaves, spec = pytree.tree_flatten(given)
        steps = self.trace.steps.setdefault(self._place, [])
        steps.append((str(func), str(spec), [self._told(leaf) for leaf in leaves]))
        for leaf in pytree.tree_leaves(result):
            if isinstance(leaf, Tensor) and id(leaf) not in self._labels:
                number = self._counts[self._place] = self._counts.get(self._place, 0) + 1
                self._labels[id(leaf)] = (self._place, number)
                self._held.append(leaf)

    def _told(self, leaf: Any) -> Any:
        """A number as it is, a tensor by where it comes from, seen from here."""
        if not isinstance(leaf, Tensor):
            return repr(leaf)
        place, number = self._labels.get(id(leaf), (BEFORE, "a constant"))
        if place == self._place:
            return "here", number
        last = len(self._layers) - 1
        if place >= 0 and place == (self._place - 1 if self._place >= 0 else last):
            return "the layer before", number
        return place, number

    def finish(self, outputs: Any) -> None:
        self._place = AFTER
        self.trace.outputs = [self._told(leaf) for leaf in pytree.tree_leaves(outputs)]
