"""Captures a few layers of a deep model in place of all: those of a transformer are alike.

``torch.export`` takes its time for every layer. A model of 80 is shortened to three while it is captured; the
graph is then written out for all (repeated_graph.py). A model that does not compute exactly that
(layer_traces.py) is captured whole.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


class NotRepeated(Exception):
    """The layers are not alike after all; the text says where they differ."""


class NotAsItsPattern(NotRepeated):
    """A captured layer is not what its pattern gives; a later pattern may give it."""


@dataclass(frozen=True)
class Stack:
    """A list of layers of which the first ``few`` stand for all others. ``probe`` is the last one like the
    layer behind them: it is captured too, to be compared with what its pattern gives."""

    path: str
    layers: list[nn.Module]
    few: int
    probe: int
    patterns: list[int]  # by layer: the captured one that it is written after

    def split(self, name: str) -> tuple[int | None, str]:
        """``model.layers.3.mlp.weight``: 3 and ``mlp.weight``; no number for a name outside the stack."""
        if not name.startswith(f"{self.path}."):
            return None, name
        number, _, rest = name[len(self.path) + 1 :].partition(".")
        return int(number), rest


def find_stacks(model: nn.Module, occurrence: int) -> list[Stack]:
    """The model's lists of layers, outermost only, at least twice as long as what is captured of them.

    occurrence: the first or the second layer of a structure is its pattern. What the first one computes of
    sizes alone, torch.export lets the second one read.
    """
    found: list[Stack] = []
    for path, module in model.named_modules():
        is_inside = any(path.startswith(f"{stack.path}.") for stack in found)
        if type(module) is nn.ModuleList and path and len(module) > 2 and not is_inside:
            stack = _stack_of(path, list(module), occurrence)
            if stack is not None and 2 * (stack.few + 1) <= len(module):
                found.append(stack)
    return found


def _stack_of(path: str, layers: list[nn.Module], occurrence: int) -> Stack | None:
    parameters = Counter(id(parameter) for layer in layers for parameter in set(layer.parameters()))
    if not parameters or max(parameters.values()) > 1:
        return None  # shared between layers
    structures = _structures(layers)
    places: dict[Any, list[int]] = {}
    for index, structure in enumerate(structures):
        places.setdefault(structure, []).append(index)
    # The first layer of all reads other values than the others: it is no pattern.
    usable = {structure: [i for i in found[occurrence - 1 :] if i > 0] for structure, found in places.items()}
    few = max((found[0] + 1 for found in usable.values() if len(found) > 1), default=len(layers))
    for index in range(few, len(layers)):
        if usable[structures[index]][0] >= few:
            few = len(layers)
    if few + 1 >= len(layers):
        return None
    patterns = [i if i < few else usable[structure][0] for i, structure in enumerate(structures)]
    return Stack(path, layers, few, places[structures[few]][-1], patterns)


def _structures(layers: list[nn.Module]) -> list[Any]:
    """What tells layers of different kinds apart: their modules, these modules' numbers and texts, their
    tensors' layouts. A number that counts the layers does not."""
    facts = [_facts(layer) for layer in layers]
    counting = {
        place
        for place, value in facts[0].items()
        if value == 0 and all(fact.get(place) == i for i, fact in enumerate(facts))
    }
    return [tuple((place, fact[place]) for place in fact if place not in counting) for fact in facts]


def _facts(layer: nn.Module) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for path, module in layer.named_modules():
        facts[path] = torch.typename(type(module))
        for name, value in vars(module).items():
            if not name.startswith("_") and isinstance(value, int | float | str | torch.dtype | None):
                facts[f"{path}.{name}"] = value
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            is_saved = name not in module._non_persistent_buffers_set
            facts[f"{path}.{name}"] = tensor is not None and (
                tensor.shape,
                tensor.stride(),
                tensor.dtype,
                tensor.requires_grad,
                is_saved,
            )
    return facts


@contextmanager
def shortened(model: nn.Module, stacks: list[Stack]) -> Iterator[None]:
    """Within it the stacks hold only the layers that are captured."""
    paths = [stack.path.rpartition(".") for stack in stacks]
    places = [(model.get_submodule(parent), name) for parent, _, name in paths]
    whole = [parent._modules[name] for parent, name in places]
    try:
        for (parent, name), stack in zip(places, stacks, strict=True):
            parent._modules[name] = nn.ModuleList([*stack.layers[: stack.few], stack.layers[stack.probe]])
        yield
    finally:
        for (parent, name), layers in zip(places, whole, strict=True):
            parent._modules[name] = layers


def all_tensors(tensors: dict[str, Tensor], stack: Stack) -> dict[str, Tensor]:
    """The tensors of a shortened model with those of all layers. Raises NotRepeated."""
    found: dict[str, Tensor] = {}
    own: dict[int, list[str]] = {}  # names within a captured layer
    for name, tensor in tensors.items():
        number, rest = stack.split(name)
        if number is None or number < stack.few:
            found[name] = tensor
        if number is not None:
            own.setdefault(number, []).append(rest)
    for index in range(stack.few, len(stack.layers)):
        for rest in own.get(stack.patterns[index], []):
            path, _, leaf = rest.rpartition(".")
            module = stack.layers[index].get_submodule(path)
            tensor = module._parameters.get(leaf, module._buffers.get(leaf))
            if tensor is None:
                raise NotRepeated(f"{stack.path}.{index}: has no {rest}")
            found[f"{stack.path}.{index}.{rest}"] = tensor.detach()
    return found
