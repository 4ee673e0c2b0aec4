"""Blocks of a model that has no program of the whole: found where it runs, each captured separately."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import _C
from .capture import Capture
from .errors import Error
from .signature import Call


@dataclass(frozen=True)
class LiveBlock:
    """A block of the live model and the program that stands for it."""

    path: str
    core: _C.Sim
    captured: Capture

    def flatten(self, call: Call) -> list[Any]:
        """The flat inputs of one call; errors name the block."""
        try:
            return self.captured.signature.flatten(*call)
        except (Error, TypeError) as error:
            raise Error(f"{self.path}: {error}") from error

    def run(self, handling: Any, /, *args: Any, **kwargs: Any) -> Any:
        """The block's forward in the simulated model; ``handling.weights_only`` as it stands at the call."""
        inputs = self.flatten((args, kwargs))
        run = self.core.call_weights_only if handling.weights_only else self.core.call
        try:
            return pytree.tree_unflatten(run(inputs), self.captured.out_spec)
        except Error as error:
            raise Error(f"{self.path}: {error}") from error


def run_live(module: nn.Module, call: Call) -> list[Any]:
    """The module's flat outputs. It gets copies of the tensors: it may write to its inputs."""
    args, kwargs = copied(call)
    with torch.no_grad():
        return pytree.tree_leaves(module(*args, **kwargs))


@contextmanager
def watching(
    model: nn.Module,
    paths: Iterable[str],
    before: Callable[[str, Call], None],
    after: Callable[[str, Any], None] = lambda _path, _output: None,
) -> Iterator[None]:
    """Within it ``before(path, inputs)`` and ``after(path, output)`` see each call of these modules."""

    with ExitStack() as hooks, torch.no_grad():
        for path in paths:
            module = model.get_submodule(path)
            enter = partial(lambda path, _, args, kwargs: before(path, (args, kwargs)), path)
            leave = partial(lambda path, _, _in, output: after(path, output), path)
            hooks.enter_context(module.register_forward_pre_hook(enter, with_kwargs=True))
            hooks.enter_context(module.register_forward_hook(leave))
        yield


def find_live_blocks(
    model: nn.Module, example: Call, patterns: Sequence[str] | None
) -> tuple[dict[str, Call], list[str]]:
    """Paths of the blocks, in the order of their first calls, with copies of their inputs then; and paths of
    modules of several layers that the example does not call, nor any in them. A single one may be used by its
    weight, without a call.

    ``patterns``: globs over paths instead of the rule, which is C++'s (``pick_modules``).
    """
    counts = ((path, _count_layers(module)) for path, module in model.named_modules() if path)
    layers = {path: count for path, count in counts if count}
    called = list(_first_calls(model, example, layers, lambda _: None))
    calls = [(path, torch.typename(type(model.get_submodule(path))), layers[path]) for path in called]
    chosen = [called[number] for number in _C.pick_modules(calls, list(patterns or ()))]
    busy = {one[:end] for one in called for end, char in enumerate(f"{one}.") if char == "."}
    idle = [path for path, count in layers.items() if count > 1 and path not in busy]
    return _first_calls(model, example, chosen, copied), idle


def _first_calls(
    model: nn.Module, example: Call, paths: Iterable[str], keep: Callable[[Call], Any]
) -> dict[str, Any]:
    """What ``keep`` makes of the modules' first calls, in the order of these calls."""
    calls: dict[str, Any] = {}

    def see(path: str, call: Call) -> None:
        if path not in calls:
            calls[path] = keep(call)

    with watching(model, paths, see):
        model(*example[0], **example[1])
    return calls


def copied(tree: Any) -> Any:
    """The same with copies of its tensors: the next code may work in place."""
    return pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), tree)


def _count_layers(module: nn.Module) -> int:
    inner = [each for each in module.modules() if not isinstance(each, nn.Embedding)]
    return sum(p.dim() > 1 for each in inner for p in each._parameters.values() if p is not None)
