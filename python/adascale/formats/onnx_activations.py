"""Quantized activations of an ONNX graph: QuantizeLinear and DequantizeLinear in place of the markers."""

from typing import Any

import torch

from .onnx_graph import constant, float_constant, node, onnx_dtype, replace_uses
from .onnx_names import is_marker
from .onnx_storage import integer_tensor, stored_bits
from .quantized import Activation, QuantizedModel


def quantize_activations(graph: Any, model: QuantizedModel) -> None:
    """Inserts the pair after each activation that has a scale."""
    for marker, activation in _markers(graph, model):
        if activation.scale is None:
            _drop(graph, marker)
        else:
            _quantize(graph, marker, activation)


def drop_markers(graph: Any, model: QuantizedModel) -> None:
    """Leaves the activations unquantized, under the names of the program."""
    for marker, _ in _markers(graph, model):
        _drop(graph, marker)


def _markers(graph: Any, model: QuantizedModel) -> list[tuple[Any, Activation]]:
    found = [made for made in graph if is_marker(made)]
    return [(marker, model.activations[marker.attributes["index"].as_int()]) for marker in found]


def _drop(graph: Any, marker: Any) -> None:
    replace_uses(graph, marker.outputs[0], marker.inputs[0])
    graph.remove(marker, safe=True)


def _quantize(graph: Any, marker: Any, activation: Activation) -> None:
    value, quantized, name = marker.inputs[0], marker.outputs[0], marker.inputs[0].name
    nodes = _pair(graph, value, activation, name)
    result = nodes[-1].outputs[0]
    graph.insert_before(marker, nodes)
    is_output = quantized.is_graph_output()
    replace_uses(graph, quantized, result)
    graph.remove(marker, safe=True)
    if is_output and value.producer() is not None:  # outputs keep their names
        value.name = f"{name}_float"
        result.name = name


def _pair(graph: Any, value: Any, activation: Activation, name: str) -> list[Any]:
    assert activation.scale is not None and activation.offset is not None
    float32 = onnx_dtype(torch.float32)
    bits, signed = max(8, stored_bits(activation.bits)), activation.symmetric  # ONNX Runtime errs on 4
    scale = float_constant(graph, torch.tensor(activation.scale), f"{name}_scale")
    zero = torch.tensor(-activation.offset)
    zero_point = constant(graph, integer_tensor(zero, bits, signed, f"{name}_zero_point"))
    nodes: list[Any] = []

    def add(op: str, inputs: list[Any], suffix: str, dtype: Any, **attributes: int) -> None:
        nodes.append(node(op, inputs, f"{name}_{suffix}", attributes, like=value, dtype=dtype))

    def last() -> Any:
        return nodes[-1].outputs[0] if nodes else value

    if value.dtype != float32:
        add("Cast", [last()], "float32", float32, to=float32.value)
    if activation.bits != bits:  # the type holds more codes than the grid has
        ends = [activation.scale * (end + activation.offset) for end in (activation.qmin, activation.qmax)]
        low, high = (torch.tensor(end, dtype=torch.float32) for end in ends)
        limits = [float_constant(graph, low, f"{name}_min"), float_constant(graph, high, f"{name}_max")]
        add("Clip", [last(), *limits], "clipped", float32)
    add("QuantizeLinear", [last(), scale, zero_point], "quantized", zero_point.dtype)
    add("DequantizeLinear", [last(), scale, zero_point], "dequantized", float32)
    if value.dtype != float32:
        add("Cast", [last()], "dequantized_cast", value.dtype, to=value.dtype.value)
    return nodes
