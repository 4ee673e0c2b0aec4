"""A program as an ONNX graph without weights, translated by torch.onnx, with quantized activations marked."""

import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import Error, first_line
from .onnx_names import DOMAIN, MARKER, find_parameters, make_unique, name_parameters, name_values
from .quantized import QuantizedModel, Weight


@dataclass(frozen=True)
class Captured:
    """A program in ONNX, its parameters without values yet.

    A node ``adascale.Quantizer`` follows each activation, with its index.
    """

    model: Any  # an ``onnx_ir.Model``
    parameters: dict[Any, str]  # initializers of the program's parameters: value, name in the program
    names_in_file: dict[str, str]  # those of all parameters, buffers and constants

    @property
    def graph(self) -> Any:
        return self.model.graph

    def rename(self, model: QuantizedModel) -> QuantizedModel:
        """The model with its weights named as in the file."""
        return replace(model, weights=[self._renamed(weight) for weight in model.weights])

    def _renamed(self, weight: Weight) -> Weight:
        return replace(weight, names=[self.names_in_file.get(name, name) for name in weight.names])


def capture_onnx(model: QuantizedModel, opset: int) -> Captured:
    """The program as torch.onnx translates it. Inputs, outputs and activations have the program's names.

    Raises :class:`adascale.Error` when torch.onnx cannot translate the program.
    """
    tensors = _stand_ins(model)
    program = _read_program(model.graph(), tensors)
    placeholders = _placeholders(program)
    _mark(program)
    onnx_model = _translate(_without_groups(program), opset)
    parameters = find_parameters(onnx_model.graph, placeholders, tensors)
    for value in parameters:  # hides them from folding: training still changes them
        value.const_value = None
    name_values(onnx_model.graph, model)
    names_in_file = name_parameters(onnx_model.graph, parameters, tensors)
    _simplify(onnx_model)
    _drop_traces(onnx_model.graph)
    _check(onnx_model)
    return Captured(onnx_model, parameters, names_in_file)


def _stand_ins(model: QuantizedModel) -> dict[str, Tensor]:
    """The tensors; for quantized weights memory that nothing touches instead of values."""
    quantized = {name for weight in model.weights for name in weight.names}
    tensors = model.given_tensors().items()
    return {name: torch.empty_like(held) if name in quantized else held for name, held in tensors}


def _placeholders(program: Any) -> dict[str, str]:
    """The tensors' names by those of their nodes."""
    signature = program.graph_signature
    return {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }


def _read_program(graph: bytes, tensors: dict[str, Tensor]) -> Any:
    from torch._export.serde import serialize
    from torch._export.serde.schema import ExportedProgram

    fields = json.loads(graph)
    _bound_symbols(fields["range_constraints"], graph.decode())
    document = serialize._dict_to_dataclass(ExportedProgram, fields)  # type: ignore[no-untyped-call]
    state, constants = _sorted_tensors(document, tensors)
    return serialize.ExportedProgramDeserializer().deserialize(document, state, constants, None)


def _bound_symbols(ranges: dict[str, Any], graph: str) -> None:
    """torch.export keeps no range for a stride that is not a size, as in an example that is a view."""
    for expression in re.findall(r'"expr_str": ?"([^"]*)"', graph):
        for symbol in re.findall(r"\bs\d+\b", expression):
            ranges.setdefault(symbol, {"min_val": 0, "max_val": None})


def _sorted_tensors(document: Any, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and persistent buffers, then constants and other buffers: torch.export separates them."""
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
    """Replaces the fake-quantize nodes, unknown to run_decompositions, by an operator of our own."""
    marker = _marker_operator()
    for node in program.graph.nodes:
        if node.target == torch.ops.aten.fake_quantize_per_tensor_affine.default:
            value, index = node.args[0], node.args[2]
            node.target, node.args, node.kwargs = marker, (value, index), {}


def _without_groups(program: Any) -> Any:
    """With products of groups of rows spelled out, which ONNX lacks."""
    names = {"aten._grouped_mm.default", "transformers.grouped_mm_fallback.default"}
    grouped = {node.target for node in program.graph.nodes if str(node.target) in names}
    return program.run_decompositions(dict.fromkeys(grouped, _row_by_row)) if grouped else program


def _row_by_row(x: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """Each row times the matrix of its group; rows after the last group give zero."""
    rows = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    groups = (rows >= ends).sum(1).clamp_max(weight.shape[0] - 1)
    return torch.bmm(x.unsqueeze(1), weight[groups]).squeeze(1) * (rows < ends[-1]).to(x.dtype)


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
    """Suppresses warnings of a missing torchvision and of parameters without values."""
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
    """The innermost exception names the cause; those around it only say that the export failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _simplify(onnx_model: Any) -> None:
    """Folds the nodes that torch.onnx writes to compute sizes and slices."""
    from onnxscript import optimizer

    with _quiet():
        optimizer.fold_constants(onnx_model)
        optimizer.remove_unused_nodes(onnx_model)
    make_unique(onnx_model)


def _drop_traces(graph: Any) -> None:
    """Drops each node's source lines and module stack, which take more space than a small model."""
    for node in graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()


def _check(onnx_model: Any) -> None:
    """Runs onnx.checker before training, so that no runtime refuses the file after it."""
    import onnx
    import onnx_ir as ir

    if onnx_model.opset_imports[""] > onnx.defs.onnx_opset_version():
        return  # it does not know such operators
    missing = [value for value in onnx_model.graph.initializers.values() if value.const_value is None]
    with _quiet():
        document = ir.to_proto(onnx_model)
    document.graph.input.extend(ir.to_proto(value) for value in missing)
    try:
        onnx.checker.check_model(document)
    except onnx.checker.ValidationError as error:
        raise Error(f"onnx.checker refuses what torch.onnx made: {first_line(error)}") from error
