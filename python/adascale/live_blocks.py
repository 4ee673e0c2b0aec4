"""Blocks of a model that cannot be exported whole: found where it runs, each captured separately."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import _C
from .capture import Capture, capture_call
from .errors import Error
from .signature import Call

_TOLERANCE = 1e-3  # of the largest output: allowed difference between the captured and the live block


@dataclass
class LiveBlock:
    """A block of the live model and the program that stands for it."""

    path: str
    core: _C.Sim
    captured: Capture
    was_called: bool = False  # during compute_encodings

    def flatten(self, call: Call) -> list[Any]:
        """The flat inputs of one call; errors name the block."""
        try:
            return self.captured.signature.flatten(*call)
        except (Error, TypeError) as error:
            raise Error(f"{self.path}: {error}") from error

    def with_fixed(self, leaves: list[Any]) -> list[Any]:
        """Flat inputs with the values that the capture fixed (numbers, flags, None) in their places."""
        return self.captured.signature.with_fixed(leaves)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The block's forward in the simulated model."""
        self.was_called = True
        inputs = self.flatten((args, kwargs))
        try:
            return pytree.tree_unflatten(self.core.call(inputs), self.captured.out_spec)
        except Error as error:
            raise Error(f"{self.path}: {error}") from error


@dataclass(frozen=True)
class _Run:
    """Modules of one class, children of one parent, called in succession."""

    paths: tuple[str, ...]

    def holds(self, path: str) -> bool:
        return any(path.startswith(f"{own}.") for own in self.paths)


def find_live_blocks(model: nn.Module, example: Call, patterns: Sequence[str] | None) -> dict[str, Call]:
    """Paths of the blocks, in call order, with their inputs for ``example``.

    Without ``patterns`` they are the outermost runs: two or more modules of one class with two layers each,
    children of one parent, called in succession. If the members of a run hold a run as long or longer,
    that one is taken instead, as in the stages of a hierarchical model.
    """
    many = [path for path, module in model.named_modules() if path and _count_layers(module) > 1]
    order = list(_first_calls(model, example, many, lambda call: None))
    chosen = _matching(order, patterns) if patterns else _outermost(_runs(model, order))
    return _first_calls(model, example, [path for path in order if path in chosen], copied)


def _first_calls(
    model: nn.Module, example: Call, paths: list[str], keep: Callable[[Call], Any]
) -> dict[str, Any]:
    """The results of ``keep`` on the modules' first calls, in the order of these calls."""
    calls: dict[str, Any] = {}

    def watch(path: str) -> Any:
        def see(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if path not in calls:
                calls[path] = keep((args, kwargs))

        return see

    handles = [
        model.get_submodule(path).register_forward_pre_hook(watch(path), with_kwargs=True) for path in paths
    ]
    try:
        with torch.no_grad():
            model(*example[0], **example[1])
    finally:
        for handle in handles:
            handle.remove()
    return calls


def copied(call: Call) -> Call:
    """The call with copies of its tensors: the next code may work in place."""
    args, kwargs = pytree.tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), call)
    return args, kwargs


def _count_layers(module: nn.Module) -> int:
    return sum(
        parameter.dim() > 1
        for inner in module.modules()
        if not isinstance(inner, nn.Embedding)
        for parameter in inner._parameters.values()
        if parameter is not None
    )


def _runs(model: nn.Module, order: list[str]) -> list[_Run]:
    siblings: dict[str, list[str]] = {}
    for path in order:
        siblings.setdefault(path.rpartition(".")[0], []).append(path)
    runs: list[_Run] = []
    for paths in siblings.values():
        current: list[str] = []
        for path in paths:
            if current and type(model.get_submodule(path)) is not type(model.get_submodule(current[-1])):
                runs.append(_Run(tuple(current)))
                current = []
            current.append(path)
        runs.append(_Run(tuple(current)))
    return [run for run in runs if len(run.paths) > 1]


def _outermost(runs: list[_Run]) -> set[str]:
    def is_passed_over(run: _Run) -> bool:
        return any(run.holds(other.paths[0]) and len(other.paths) >= len(run.paths) for other in runs)

    kept = [run for run in runs if not is_passed_over(run)]
    return {path for run in kept for path in run.paths if not any(other.holds(path) for other in kept)}


def _matching(order: list[str], patterns: Sequence[str]) -> set[str]:
    """The modules matched by the globs; of nested ones the outermost."""
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in order):
            shown = ", ".join(order[:8]) + (f" and {len(order) - 8} more" if len(order) > 8 else "")
            raise Error(f"blocks: '{pattern}' matches no module with two layers that ran; these did: {shown}")
    named = [path for path in order if any(fnmatchcase(path, pattern) for pattern in patterns)]
    return {path for path in named if not any(path.startswith(f"{outer}.") for outer in named)}


def capture_block(model: nn.Module, path: str, call: Call) -> Capture:
    """Captures one module separately, under the names that it has in the model."""
    return capture_call(_shell_around(model.get_submodule(path), path), *call)


def _shell_around(block: nn.Module, path: str) -> nn.Module:
    shell = place = nn.Module()
    *parents, leaf = path.split(".")
    for name in parents:
        place.add_module(name, nn.Module())
        place = place.get_submodule(name)
    place.add_module(leaf, block)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return block(*args, **kwargs)

    forward.__signature__ = inspect.signature(block.forward)  # type: ignore[attr-defined]
    shell.forward = forward
    return shell.eval()


def largest_difference(got: list[Any], expected: list[Any]) -> str:
    """Empty when the outputs of the captured and the live block are equal up to rounding."""
    for ours, theirs in zip(got, expected, strict=True):
        if not isinstance(theirs, Tensor) or not theirs.is_floating_point() or not theirs.numel():
            continue
        off, largest = (ours - theirs).abs().max().item(), theirs.abs().max().item()
        if not off <= _TOLERANCE * largest:
            return f"off by {off:.3g} of {largest:.3g}"
    return ""
