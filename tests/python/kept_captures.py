"""Captures the transformers models of one configuration once in a file of tests.

Of a small model's run, torch.export takes most of the time. Tests whose subject is not the capture ask for
the fixture ``kept_captures``; each gets the graph of the first, with its own model's tensors.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from unittest.mock import patch

from adascale.capture import Capture
from adascale.signature import CallSignature
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from transformers import PreTrainedModel

from adascale import capture as module

_capture_now = module._capture_now


@contextmanager
def keeping_captures() -> Iterator[None]:
    with patch.object(module, "_capture_now", partial(_capture_once, {})):
        yield


def _capture_once(kept: dict[Hashable, Capture], model: nn.Module, signature: CallSignature) -> Capture:
    if not isinstance(model, PreTrainedModel) or _is_patched(model):
        return _capture_now(model, signature)
    key = _key(model, signature)
    if key not in kept:
        kept[key] = _capture_now(model, signature)
    first, own = kept[key], dict(_state(model))
    tensors = {name: own.get(name, constant) for name, constant in first.tensors.items()}
    return replace(first, tensors=tensors, signature=signature)


def _is_patched(model: nn.Module) -> bool:
    """A test changed what a layer computes; the model's own ``forward`` is the capture's."""
    layers = [layer for layer in model.modules() if layer is not model]
    return any("forward" in layer.__dict__ for layer in layers) or any(
        layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules()
    )


def _key(model: PreTrainedModel, signature: CallSignature) -> Hashable:
    """Classes, configuration, each tensor's kind, and which names share a tensor."""
    leaves, spec = pytree.tree_flatten((signature.args, signature.kwargs))
    first: dict[int, str] = {}
    return (
        tuple(type(layer) for layer in model.modules()),
        repr({**model.config.to_dict(), "_name_or_path": ""}),  # without the folder that it came from
        model.config._attn_implementation,
        model.config._experts_implementation,
        str(signature.spelled_out),
        str(spec),
        tuple(map(_kind, leaves)),
        tuple((name, _kind(tensor), first.setdefault(id(tensor), name)) for name, tensor in _state(model)),
    )


def _kind(leaf: object) -> Hashable:
    if not isinstance(leaf, Tensor):
        return repr(leaf)
    return leaf.dtype, leaf.shape, leaf.stride(), leaf.device, leaf.requires_grad


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False))
