"""Weights of an ONNX graph stored as integer codes and dequantized where they are read."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from .onnx_graph import constant, float_constant, node, onnx_dtype, replace_uses, torch_tensor
from .onnx_read_back import Held
from .onnx_storage import Stored, dequantize, integer_tensor, store, stored_bits
from .onnx_uses import MatrixUse, Uses, find_uses
from .quantized import Encoding, Weight


def parameter_value(graph: Any, weight: Weight) -> Any | None:
    """The initializer that holds the parameter; of tied ones torch.onnx keeps any one."""
    return next((graph.initializers[name] for name in weight.names if name in graph.initializers), None)


def take_parameter(graph: Any, weight: Weight) -> Any:
    """The parameter's value, removed from the initializers so that its codes can take its name."""
    value = parameter_value(graph, weight)
    assert value is not None, weight.name  # the check found it
    del graph.initializers[value.name]
    value.name = f"{weight.name}_float"
    return value


def weight_bits(graph: Any, weight: Weight, has_activations: bool) -> int:
    """The width of the type that holds the codes.

    2 bits only where ONNX Runtime 1.32 reads them right: it misreads matrices whose rows end within a byte,
    once fused into a product, and fails to load transposed ones, or any between quantized activations.
    """
    bits = stored_bits(weight.bits)
    if bits > 2:
        return bits
    value = parameter_value(graph, weight)
    is_read = not has_activations and value is not None
    if len(weight.shape) == 2:
        is_read = is_read and _is_turned(find_uses(value)) and weight.shape[0] % 4 == 0
    return 2 if is_read else 4


def _is_turned(uses: Uses) -> bool:
    """Whether the matrix is only read as ``x @ W.T``: it is then stored as [in, out], which runtimes fuse."""
    return bool(uses.matrix) and not (uses.direct or uses.rows or uses.other)


def quantize_weight(graph: Any, weight: Weight, encoding: Encoding, bits: int, short_inputs: bool) -> Held:
    """Replaces the parameter by its codes, under its name, and DequantizeLinear.

    Rows looked up in a table of 8 bits or more are dequantized after the look-up. ``short_inputs``: there are
    activations of 8 bits or fewer.
    """
    value = take_parameter(graph, weight)
    uses, stored = find_uses(value), store(weight, encoding, bits)
    fuses = not (short_inputs and stored.bits == 8 and stored.block_size)
    is_turned = _is_turned(uses) and fuses
    if is_turned:
        stored = stored.transposed()
    inputs = add_inputs(graph, weight.name, stored)
    rows = uses.rows if stored.bits >= 8 and _has_row_scales(stored) else []
    if len(list(value.uses())) > len(rows) or value.is_graph_output():
        whole = _add_dequantize(graph, weight, stored, inputs)
        for use in uses.matrix if is_turned else uses.direct:
            multiply(graph, use, whole)
        kept = [(user, place) for user, place in value.uses() if user not in rows]
        replace_uses(graph, value, whole, kept)
    for gather in rows:
        _look_up(graph, weight, stored, inputs, gather)
    return Held(weight, inputs, partial(_as_it_was, is_turned, stored.axis, stored.block_size))


def _as_it_was(is_turned: bool, axis: int | None, block_size: int, *tensors: Tensor) -> Tensor:
    values = dequantize(axis, block_size, *tensors)
    return values.T if is_turned else values


def add_inputs(graph: Any, name: str, stored: Stored) -> list[Any]:
    """DequantizeLinear's inputs: codes, scale and, if there is one, zero point."""
    inputs = [
        constant(graph, integer_tensor(stored.codes, stored.bits, stored.signed, name)),
        float_constant(graph, stored.scale.float(), f"{name}_scale"),
    ]
    if stored.zero_point is not None:
        zero_point = integer_tensor(stored.zero_point, stored.bits, stored.signed, f"{name}_zero_point")
        inputs.append(constant(graph, zero_point))
    return inputs


def _add_dequantize(graph: Any, weight: Weight, stored: Stored, inputs: list[Any]) -> Any:
    """The weight in its own dtype; in a short dtype the last step rounds to it where the simulation does."""
    attributes: dict[str, int] = {} if stored.axis is None else {"axis": stored.axis}
    if stored.block_size:
        attributes["block_size"] = stored.block_size
    made = node(
        "DequantizeLinear",
        inputs,
        f"{weight.name}_dequantized",
        attributes,
        like=inputs[0],
        dtype=onnx_dtype(torch.float32),
    )
    nodes = [made, *_cast(weight, made.outputs[0])]
    graph.insert_before(graph[0], nodes)
    return nodes[-1].outputs[0]


def _cast(weight: Weight, value: Any) -> list[Any]:
    if weight.dtype == torch.float32:
        return []
    kind = onnx_dtype(weight.dtype)
    return [node("Cast", [value], f"{value.name}_cast", {"to": kind.value}, like=value, dtype=kind)]


def multiply(graph: Any, use: MatrixUse, matrix: Any) -> None:
    """Turns the node into a MatMul with ``matrix`` [in, out]; a Gemm's sum follows it."""
    replace_product(graph, use, "MatMul", [use.node.inputs[0], matrix])


def replace_product(
    graph: Any,
    use: MatrixUse,
    op: str,
    inputs: list[Any],
    attributes: dict[str, int] | None = None,
    domain: str = "",
) -> None:
    """Replaces a MatMul's or a Gemm's product by another one; a Gemm's sum follows it."""
    old = use.node
    result, summand = old.outputs[0], old.inputs[2] if len(old.inputs) > 2 else None
    name = result.name
    result.name = f"{name}_replaced"
    product_name = name if summand is None else f"{name}_product"
    nodes = [node(op, inputs, product_name, attributes, like=result, domain=domain)]
    if summand is not None:
        nodes.append(node("Add", [nodes[0].outputs[0], summand], name, like=result))
    graph.insert_before(old, nodes)
    replace_uses(graph, result, nodes[-1].outputs[0])
    graph.remove(old, safe=True)
    if use.transpose is not None and not list(use.transpose.outputs[0].uses()):
        graph.remove(use.transpose, safe=True)


def _has_row_scales(stored: Stored) -> bool:
    """Whether single rows can be dequantized: one scale, one per row, or blocks along a matrix's rows."""
    if stored.axis is None or (stored.block_size == 0 and stored.axis == 0):
        return stored.codes.dim() == 2
    return stored.codes.dim() == 2 and stored.axis == 1 and stored.block_size > 0


def _look_up(graph: Any, weight: Weight, stored: Stored, inputs: list[Any], gather: Any) -> None:
    """Looks up codes and the scales of their rows, and multiplies the two.

    Uses plain operators: OpenVINO's DequantizeLinear does not take an open number of rows.
    """
    result, indices = gather.outputs[0], gather.inputs[1]
    name = result.name
    result.name = f"{name}_replaced"
    float32, rank = onnx_dtype(torch.float32), len(result.shape) - 1
    nodes: list[Any] = []

    def add(op: str, given: list[Any], suffix: str, dtype: Any = float32, **attributes: int) -> Any:
        nodes.append(node(op, given, f"{name}_{suffix}", attributes, dtype=dtype))
        return nodes[-1].outputs[0]

    def sizes(last: list[int], suffix: str) -> Any:
        return constant(graph, torch_tensor(torch.tensor([0] * rank + last), f"{name}_{suffix}"))

    def of_rows(given: Any, suffix: str) -> Any:
        """One element per row, or per block of a row, followed by a dimension of size 1."""
        if stored.axis is None:
            return given
        found = add("Gather", [given, indices], suffix, given.dtype, axis=0)
        return add("Unsqueeze", [found, last_axis], f"{suffix}_wide", given.dtype)

    last_axis = constant(graph, torch_tensor(torch.tensor([-1]), f"{name}_last_axis"))
    codes = add("Gather", [inputs[0], indices], "codes", inputs[0].dtype, axis=0)
    found = add("Cast", [codes], "codes_float", to=float32.value)
    if stored.block_size:
        found = add("Reshape", [found, sizes([-1, stored.block_size], "blocks_shape")], "blocks")
    if stored.zero_point is not None:
        zeros = add("Cast", [of_rows(inputs[2], "row_zero_point")], "row_zero_point_float", to=float32.value)
        found = add("Sub", [found, zeros], "centered")
    found = add("Mul", [found, of_rows(inputs[1], "row_scale")], "scaled")
    if stored.block_size:
        found = add("Reshape", [found, sizes([weight.shape[1]], "rows_shape")], "rows")
    nodes += _cast(weight, found)
    nodes[-1].outputs[0].name = name
    nodes[-1].outputs[0].shape = result.shape
    graph.insert_before(gather, nodes)
    replace_uses(graph, result, nodes[-1].outputs[0])
    graph.remove(gather, safe=True)
