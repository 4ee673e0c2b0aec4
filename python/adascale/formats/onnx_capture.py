"""A program as an ONNX graph without weights: what torch.onnx makes of it, quantized activations marked."""

import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor

from ..errors import Error, first_line
from .quantized import QuantizedModel

MARKER = "Quantizer"
DOMAIN = "adascale"


def capture_onnx(model: QuantizedModel, opset: int) -> Any:
    """An ``onnx_ir.Model`` whose parameters have no values yet; a node ``adascale.Quantizer`` follows each
    activation, with its index. Inputs and outputs have the program's names, as have those activations.

    Raises :class:`adascale.Error` when torch.onnx cannot translate the program.
    """
    tensors = model.tensors()
    program = _read_program(model.graph(), tensors)
    _mark(program)
    onnx_model = _translate(program, opset)
    _drop_values(onnx_model.graph, set(tensors))
    _name_values(onnx_model.graph, model)
    _simplify(onnx_model)
    return onnx_model


def _read_program(graph: bytes, tensors: dict[str, Tensor]) -> Any:
    from torch._export.serde import serialize
    from torch._export.serde.schema import ExportedProgram

    fields = json.loads(graph)
    _bound_symbols(fields["range_constraints"], graph.decode())
    document = serialize._dict_to_dataclass(ExportedProgram, fields)  # type: ignore[no-untyped-call]
    state, constants = _sorted_tensors(document, tensors)
    return serialize.ExportedProgramDeserializer().deserialize(document, state, constants, None)


def _bound_symbols(ranges: dict[str, Any], graph: str) -> None:
    """torch.export keeps no range of a stride that is no size, as of an example that is a view."""
    for expression in re.findall(r'"expr_str": ?"([^"]*)"', graph):
        for symbol in re.findall(r"\bs\d+\b", expression):
            ranges.setdefault(symbol, {"min_val": 0, "max_val": None})


def _sorted_tensors(document: Any, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and persistent buffers; constants and other buffers, which torch.export keeps apart."""
    state: dict[str, Tensor] = {}
    constants: dict[str, Tensor] = {}
    for spec in document.graph_module.signature.input_specs:
        held = spec.value
        if spec.type == "parameter":
            state[held.parameter_name] = torch.nn.Parameter(tensors[held.parameter_name], requires_grad=False)
        elif spec.type == "buffer":
            place = state if held.persistent else constants
            place[held.buffer_name] = tensors[held.buffer_name]
        elif spec.type == "tensor_constant":
            constants[held.tensor_constant_name] = tensors[held.tensor_constant_name]
    return state, constants


def _mark(program: Any) -> None:
    """Replaces the fake-quantize nodes, which run_decompositions does not know, by an operator of our own."""
    marker = _marker_operator()
    for node in program.graph.nodes:
        if node.target == torch.ops.aten.fake_quantize_per_tensor_affine.default:
            value, index = node.args[0], node.args[2]
            node.target, node.args, node.kwargs = marker, (value, index), {}


def _marker_operator() -> Any:
    if not hasattr(torch.ops.adascale, "quantizer"):

        @torch.library.custom_op("adascale::quantizer", mutates_args=())
        def quantizer(x: Tensor, index: int) -> Tensor:
            return x.clone()

        @quantizer.register_fake
        def _(x: Tensor, index: int) -> Tensor:
            return torch.empty_like(x)

    return torch.ops.adascale.quantizer.default


def _marker_translation() -> Callable[..., Any]:
    from onnx.defs import OpSchema
    from onnxscript.values import Op, Opset

    schema = OpSchema(
        MARKER,
        DOMAIN,
        1,
        inputs=[OpSchema.FormalParameter("x", "T")],
        outputs=[OpSchema.FormalParameter("y", "T")],
        type_constraints=[
            ("T", [f"tensor({name})" for name in ("float", "double", "float16", "bfloat16")], "")
        ],
        attributes=[OpSchema.Attribute("index", OpSchema.AttrType.INT)],
    )
    operator = Op(Opset(DOMAIN, 1), MARKER, schema)

    def translate(x: Any, index: int) -> Any:
        return operator(x, index=index)

    return translate


def _translate(program: Any, opset: int) -> Any:
    try:
        with _quiet():
            exported = torch.onnx.export(
                program,
                dynamo=True,
                optimize=False,  # it would fold batch norms and transposes into the weights
                verbose=False,
                opset_version=opset,
                custom_translation_table={_marker_operator(): _marker_translation()},
            )
    except Exception as error:  # boundary: torch.onnx raises many kinds, with reports as text
        raise Error(f"torch.onnx cannot translate the program: {_cause(error)}") from error
    assert exported is not None
    return exported.model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of a torchvision that is not there, and of parameters without values."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _cause(error: BaseException) -> str:
    """The innermost exception says what it is; those around it that the export failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _drop_values(graph: Any, names: set[str]) -> None:
    """What the optimizer cannot see it does not fold; and the values are not final before training."""
    for name, value in graph.initializers.items():
        if name in names:
            value.const_value = None


def _name_values(graph: Any, model: QuantizedModel) -> None:
    """Gives activations and outputs the program's names; torch.onnx counts its nodes anew."""
    wanted: dict[str, Any] = {}
    outputs = [name for name in model.outputs if name is not None]
    activations = {activation.value for activation in model.activations}
    for node in graph:
        if node.op_type == MARKER and node.domain == DOMAIN:
            name = model.activations[node.attributes["index"].as_int()].value
            if not _is_marker(node.inputs[0].producer()):
                wanted[name] = node.inputs[0]
    if len(outputs) == len(graph.outputs):
        for name, value in zip(outputs, graph.outputs, strict=True):
            if name not in activations:
                wanted.setdefault(name, value)
    taken = {id(value) for value in wanted.values()} | {id(value) for value in graph.inputs}
    for value in _values(graph):
        if value.name in wanted and id(value) not in taken:
            value.name = f"{value.name}_onnx"
    for name, value in wanted.items():
        if id(value) not in {id(given) for given in graph.inputs} and value.name != name:
            value.name = name


def _values(graph: Any) -> list[Any]:
    return [value for node in graph for value in node.outputs]


def _is_marker(node: Any) -> bool:
    return node is not None and node.op_type == MARKER and node.domain == DOMAIN


def _simplify(onnx_model: Any) -> None:
    """Folds what torch.onnx writes to compute sizes and slices."""
    from onnxscript import optimizer

    with _quiet():
        optimizer.fold_constants(onnx_model)
        optimizer.remove_unused_nodes(onnx_model)
