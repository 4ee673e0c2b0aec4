"""Small functions to edit an ``onnx_ir`` graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def constant(graph: Any, tensor: Any) -> Any:
    """Adds an initializer with an ``onnx_ir`` tensor's name, numbered if it is taken; returns its value."""
    import onnx_ir as ir

    name, number = tensor.name, 0
    while tensor.name in graph.initializers:
        number += 1
        tensor.name = f"{name}_{number}"
    value = ir.Value(
        name=tensor.name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def float_constant(graph: Any, values: Tensor, name: str) -> Any:
    return constant(graph, torch_tensor(values.contiguous(), name))


def torch_tensor(values: Tensor, name: str) -> Any:
    from onnx_ir.tensor_adapters import TorchTensor

    return TorchTensor(values.detach().cpu(), name=name)


def node(
    op: str,
    inputs: Sequence[Any],
    output: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    like: Any = None,
    dtype: Any = None,
    domain: str = "",
) -> Any:
    """A node with one output, named after it, which has the shape of ``like`` and its dtype or ``dtype``."""
    import onnx_ir as ir

    made = ir.node(op, inputs, attributes=attributes or {}, domain=domain, name=f"{op}_{output}")
    value = made.outputs[0]
    value.name = output
    if like is not None:
        value.shape, value.type = like.shape, like.type
    if dtype is not None:
        value.type = ir.TensorType(dtype)
    return made


def onnx_dtype(dtype: torch.dtype) -> Any:
    import onnx_ir as ir

    return {
        torch.float32: ir.DataType.FLOAT,
        torch.float16: ir.DataType.FLOAT16,
        torch.bfloat16: ir.DataType.BFLOAT16,
        torch.float64: ir.DataType.DOUBLE,
    }[dtype]


def replace_uses(graph: Any, old: Any, new: Any, users: Sequence[tuple[Any, int]] | None = None) -> None:
    """Lets readers of ``old`` (or only ``users``) read ``new``; a graph's output is replaced too."""
    for user, place in list(old.uses()) if users is None else users:
        user.replace_input_with(place, new)
    for place, output in enumerate(graph.outputs):
        if output is old:
            graph.outputs[place] = new
