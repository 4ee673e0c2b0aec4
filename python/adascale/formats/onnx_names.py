"""Names in a captured graph: the program's for activations, outputs and, where possible, parameters."""

from collections.abc import Iterable
from typing import Any

from .quantized import QuantizedModel

MARKER = "Quantizer"
DOMAIN = "adascale"

# The field in which torch.onnx notes the placeholder of an initializer.
_PLACEHOLDER = "pkg.torch.onnx.original_node_name"


def find_parameters(graph: Any, placeholders: dict[str, str], names: Iterable[str]) -> dict[Any, str]:
    """The initializers' values and their names in the program; ``placeholders``: nodes' names to these."""
    known = set(names)
    found = {}
    for value in graph.initializers.values():
        name = placeholders.get(value.metadata_props.get(_PLACEHOLDER, ""), value.name)
        if name in known:
            found[value] = name
    return found


def name_values(graph: Any, model: QuantizedModel) -> None:
    """Gives activations and outputs the program's names, as torch.onnx numbers its nodes anew."""
    wanted: dict[str, Any] = {}
    outputs = [name for name in model.outputs if name is not None]
    activations = {activation.value for activation in model.activations}
    for node in graph:
        if is_marker(node):
            name = model.activations[node.attributes["index"].as_int()].value
            if not is_marker(node.inputs[0].producer()):
                wanted[name] = node.inputs[0]
    if len(outputs) == len(graph.outputs):
        for name, value in zip(outputs, graph.outputs, strict=True):
            if name not in activations:
                wanted.setdefault(name, value)
    taken = {id(value) for value in wanted.values()} | {id(value) for value in graph.inputs}
    for value in _values(graph):
        if value.name in wanted and id(value) not in taken:
            value.name = f"{value.name}_onnx"
    held = {id(value) for value in (*graph.inputs, *graph.initializers.values())}
    for name, value in wanted.items():
        if id(value) not in held and value.name != name:
            value.name = name


def name_parameters(graph: Any, parameters: dict[Any, str], names: Iterable[str]) -> dict[str, str]:
    """Renames parameters that clash with a graph's value to ``NAME_value``; returns the file's ``names``.

    The parameters change: runtimes find inputs and outputs by name, and encodings activations.
    """
    names = list(names)
    taken = {value.name for value in (*graph.inputs, *_values(graph))}
    known = taken | set(names)
    in_file = {name: _free(f"{name}_value", known) if name in taken else name for name in names}
    for value, name in parameters.items():
        value.name = in_file[name]
    return in_file


def make_unique(onnx_model: Any) -> None:
    """Numbers repeated names; inputs and outputs keep theirs, then initializers."""
    from onnx_ir.passes.common import NameFixPass

    NameFixPass()(onnx_model)


def is_marker(node: Any) -> bool:
    return node is not None and node.op_type == MARKER and node.domain == DOMAIN


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_value"
    return name


def _values(graph: Any) -> list[Any]:
    return [value for node in graph for value in node.outputs]
