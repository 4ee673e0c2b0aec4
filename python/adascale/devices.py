"""The device of a model, and moving its data there."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .errors import Error

Tree = TypeVar("Tree")


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's parameters and buffers; the CPU without any.

    Raises :class:`adascale.Error` for a model on two devices, naming a tensor on each.
    """
    first_name, first = "", None
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if first is None:
            first_name, first = name, tensor
        elif tensor.device != first.device:
            raise Error(
                f"model: {first_name} is on {first.device}, {name} on {tensor.device}: expected a model on "
                "one device; move it with model.to(...)"
            )
    return torch.device("cpu") if first is None else first.device


def snapshot(tree: Tree) -> Tree:
    """Copies of the tensors on the host: a loader may fill one buffer again and again."""

    def copied(tensor: Tensor) -> Tensor:
        return tensor.detach().cpu() if tensor.device.type != "cpu" else tensor.detach().clone()

    with torch.inference_mode(False):  # inference tensors cannot be trained on
        copies: Any = pytree.tree_map_only(Tensor, copied, tree)
        return copies


def moved(tree: Tree, device: torch.device) -> Tree:
    """The same tuples, lists and dicts with their tensors on ``device``, copied where they are elsewhere."""
    moved_tree: Any = pytree.tree_map_only(Tensor, lambda tensor: tensor.to(device), tree)
    return moved_tree
