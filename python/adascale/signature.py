"""Turns calls of the model, in any spelling, into the captured program's flat inputs."""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from .errors import Error, first_line

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Words:
    """Names in messages: of the example, and the beginnings of messages about it and about a call."""

    example: str = "dummy_input"
    at_example: str = "dummy_input: "
    at_call: str = "sim.model: "


SIM_WORDS = Words()
# Where the example is data, which the caller's message names: of the model, and of a block of it, which is
# captured where the model runs on another batch than the first.
DATA_WORDS = Words("the first batch", "", "")
BLOCK_WORDS = Words("the batch that it was captured on", "", "")


def call_of(dummy_input: Any, words: Words = SIM_WORDS) -> Call:
    """Splits an example into (args, kwargs): a mapping is named arguments, a sequence positional."""
    if isinstance(dummy_input, Mapping):
        return (), dict(dummy_input)
    if isinstance(dummy_input, (tuple, list)):
        return tuple(dummy_input), {}
    if isinstance(dummy_input, torch.Tensor):
        return (dummy_input,), {}
    raise Error(
        f"{words.at_example}got {type(dummy_input).__name__}, expected a tensor, a tuple or list, or a dict"
    )


class CallSignature:
    """The arguments with which a program was captured.

    Tensors may differ from call to call. Anything else (numbers, strings, flags, None) is fixed by
    ``dummy_input``: a call may leave it out but not change it. Arguments missing in ``dummy_input`` keep
    their defaults.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        words: Words = SIM_WORDS,
    ) -> None:
        self._signature, self._words = inspect.signature(forward), words
        self.captured = self._named(words.at_example, args, kwargs)
        self.args, self.kwargs = self._spelled(self.captured)
        paths, self._spec = pytree.tree_flatten_with_path((self.args, self.kwargs))
        self._names = [self._leaf_name(path) for path, _ in paths]
        self._fixed = [None if isinstance(leaf, torch.Tensor) else (leaf,) for _, leaf in paths]

    @property
    def spelled_out(self) -> inspect.Signature:
        """``forward``'s signature with a parameter for each captured argument that ``**kwargs`` collects."""
        parameters = self._signature.parameters
        named = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD]
        collected = [name for name in self.captured if name not in parameters]
        named += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in collected]
        return inspect.Signature(named)

    def flatten(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The flat inputs of one call, in the program's order.

        Errors: ``TypeError`` for arguments that ``forward`` does not take; ``Error`` for missing, new or
        changed ones.
        """
        named = self._reconcile(self._named(self._words.at_call, args, kwargs))
        try:
            leaves = self._spec.flatten_up_to(self._spelled(named))
        except ValueError as error:
            raise Error(
                f"{self._words.at_call}inputs are nested otherwise than {self._words.example}'s: "
                f"{first_line(error)}"
            ) from error
        for name, leaf, fixed in zip(self._names, leaves, self._fixed, strict=True):
            self._check_leaf(name, leaf, fixed)
        return leaves

    def unflatten(self, leaves: list[Any]) -> Call:
        """The arguments for ``leaves``, which come from ``flatten``."""
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        return args, kwargs

    def _named(self, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            named = dict(self._signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            known, given = ", ".join(self._signature.parameters), ", ".join(kwargs) or "nothing"
            text = f"{where}{error} (given by name: {given}); the model's arguments are {known}"
            raise TypeError(text) from None
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                named.update(named.pop(parameter.name, {}))
        return named

    def _spelled(self, named: dict[str, Any]) -> Call:
        """The one spelling of a set of arguments: by position as far as possible, the others by name."""
        parameters = self._signature.parameters
        arguments = {name: named[name] for name in parameters if name in named}
        others = {name: value for name, value in named.items() if name not in parameters}
        if others:
            collector = next(p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD)
            arguments[collector] = others
        bound = inspect.BoundArguments(self._signature, OrderedDict(arguments))
        return bound.args, bound.kwargs

    def _reconcile(self, named: dict[str, Any]) -> dict[str, Any]:
        """Exactly the captured arguments, in the captured order."""
        for name, value in named.items():
            if name not in self.captured and not self._is_default(name, value):
                raise Error(
                    f"{self._words.at_call}argument '{name}' is not in {self._words.example}; add it there "
                    "to capture its use"
                )
        for name, value in self.captured.items():
            if name not in named and _has_tensor(value):
                raise Error(
                    f"{self._words.at_call}argument '{name}' is missing; {self._words.example} has it"
                )
        return {name: named.get(name, value) for name, value in self.captured.items()}

    def _check_leaf(self, name: str, leaf: Any, fixed: tuple[Any] | None) -> None:
        where, example = f"{self._words.at_call}{name}", self._words.example
        if fixed is None:
            if not isinstance(leaf, torch.Tensor):
                raise Error(f"{where}: got {type(leaf).__name__}, expected a tensor as in {example}")
        elif type(leaf) is not type(fixed[0]) or leaf != fixed[0]:
            got = f"a tensor of {tuple(leaf.shape)}" if isinstance(leaf, torch.Tensor) else repr(leaf)
            raise Error(f"{where}: got {got}, but {example} fixed it at {fixed[0]!r}")

    def _is_default(self, name: str, value: Any) -> bool:
        if _has_tensor(value) or name not in self._signature.parameters:
            return value is None
        default = self._signature.parameters[name].default
        return value is default or (type(value) is type(default) and value == default)

    def _leaf_name(self, path: tuple[Any, ...]) -> str:
        """`mask`, `states[0]`: the parameter's name and the path into its value."""
        which, first, *rest = path
        name = first.key if which.idx == 1 else self._positional_name(first.idx)
        return f"{name}{pytree.keystr(tuple(rest))}"

    def _positional_name(self, index: int) -> str:
        positional = [p for p in self._signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        collector = next((i for i, p in enumerate(positional) if p.kind is p.VAR_POSITIONAL), len(positional))
        return positional[index].name if index < collector else f"argument {index}"


def _has_tensor(value: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(value))
