"""The ONNX formats: how each one writes the weights and activations of the captured graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._C import option
from ..errors import Error
from ..packages import how_to_install, missing
from .onnx_activations import drop_markers, quantize_activations
from .onnx_capture import Captured, capture_onnx
from .onnx_file import LARGEST_INLINE, data_name, fill_values, write_file
from .onnx_nbits import BLOCK_SIZES, holds, is_linear, quantize_products
from .onnx_read_back import Held, expect_model
from .onnx_sizes import blocks_bytes, codes_bytes, float_bytes, values_bytes
from .onnx_storage import stored_bits
from .onnx_weights import parameter_value, quantize_weight, weight_bits
from .quantized import Prepared, QuantizedModel, Weight

# MatMulNBits' accuracy_level: at 4 activations are rounded to 8 bits; at 0 the CPU computes in fp32.
_AS_THE_RUNTIME_LIKES, _INT8_ACTIVATIONS = 0, 4

# Opset 21 has 4 bits and blocks.
OPSET, OPSET_OF_2_BITS = 21, 25


class _OnnxFormat:
    """The common part of the three. The graph is captured before any training."""

    name: str
    description: str
    files = ["PREFIX.onnx"]
    packages = ("onnx", "onnxscript")
    how_to_load = "onnxruntime.InferenceSession('PREFIX.onnx')"
    targets: list[str] = []
    holds_activations = False
    holds_signed_scales = False
    replaces_weights = True  # by codes
    widths = [4, 8]  # ONNX's types; 2 bits are too new for most runtimes

    @property
    def packs_codes(self) -> bool:
        return self.replaces_weights

    def prepare(self, model: QuantizedModel) -> Prepared:
        lacks = missing(self.packages)
        if lacks:
            text = f"{self.name}: needs the packages {', '.join(self.packages)}; {how_to_install(lacks)}"
            return Prepared([text], files=[f"{model.prefix}.onnx"])
        objections = self._check_grids(model)
        try:
            captured = self._capture(model)
        except Error as error:
            return Prepared([*objections, f"{self.name}: {error}"], files=[f"{model.prefix}.onnx"])
        return self._prepare(captured, model, objections)

    def _prepare(self, captured: Captured, model: QuantizedModel, objections: list[str]) -> Prepared:
        graph, renamed, is_large = captured.graph, captured.rename(model), self._is_large(captured, model)
        objections += self._check_leftovers(model, is_large)
        objections += _check_two_bits(self.name, self._two_bits(graph, renamed))
        objections += self._check_weights(graph, renamed)
        if objections:
            return Prepared(objections, files=[f"{model.prefix}.onnx"])
        beside = [data_name(model)] if is_large else []
        notes = [f"{self.name}: weights go to {name}, beside {model.prefix}.onnx" for name in beside]

        held: list[Held] = []

        def write(decided: QuantizedModel, path: Callable[[str], str]) -> None:
            held[:] = self._write(captured, decided, path)

        def read_back(decided: QuantizedModel, path: Callable[[str], str]) -> None:
            file, data = path(f"{model.prefix}.onnx"), path(beside[0]) if beside else None
            expect_model(captured.model, held, decided, file, data)

        notes += self._notes(graph, renamed)
        return Prepared([], notes, [f"{model.prefix}.onnx", *beside], write, read_back)

    def _capture(self, model: QuantizedModel) -> Captured:
        """Captures in the opset of the file: only a captured graph tells which weights have 2 bits in it."""
        captured = capture_onnx(model, OPSET)
        has_two_bits = bool(self._two_bits(captured.graph, captured.rename(model)))
        return capture_onnx(model, OPSET_OF_2_BITS) if has_two_bits and _knows_two_bits() else captured

    def _notes(self, graph: Any, model: QuantizedModel) -> list[str]:
        return []

    def _write(self, captured: Captured, model: QuantizedModel, path: Callable[[str], str]) -> list[Held]:
        is_large, model = self._is_large(captured, model), captured.rename(model)
        replaced = {name for weight in model.weights for name in weight.names if self.replaces_weights}
        fill_values(captured, model, replaced)
        held = self._edit(captured.graph, model)
        write_file(captured.model, model, self.name, path, is_large)
        return held

    def _edit(self, graph: Any, model: QuantizedModel) -> list[Held]:
        raise NotImplementedError

    def _bytes(self, graph: Any, model: QuantizedModel, weight: Weight) -> int:
        """The bytes of the weight in the file."""
        return codes_bytes(weight, weight_bits(graph, weight, bool(model.activations)))

    def _two_bits(self, graph: Any, model: QuantizedModel) -> list[str]:
        """Names of the weights and activations stored in ONNX's 2-bit types."""
        has_activations = bool(model.activations)
        weights = [w for w in model.weights if self._has_onnx_type(graph, w)]
        return [w.layer for w in weights if weight_bits(graph, w, has_activations) == 2]

    def _has_onnx_type(self, graph: Any, weight: Weight) -> bool:
        """Whether the weight is stored as codes of an ONNX type."""
        return self.replaces_weights

    def _is_large(self, captured: Captured, model: QuantizedModel) -> bool:
        graph, model = captured.graph, captured.rename(model)
        quantized = {name for weight in model.weights for name in weight.names}
        others = sum(values_bytes(v) for name, v in graph.initializers.items() if name not in quantized)
        return others + sum(self._bytes(graph, model, w) for w in model.weights) > LARGEST_INLINE

    def _check_grids(self, model: QuantizedModel) -> list[str]:
        objections = []
        for weight in model.weights:
            if not weight.is_affine:
                objections.append(
                    f"{self.name}: {weight.layer}: ONNX has no place for its grid; use one of plain "
                    "scales and integer offsets"
                )
            if weight.dtype == torch.float64:
                objections.append(
                    f"{self.name}: {weight.layer}: its weight is float64, which DequantizeLinear does not "
                    "give; convert the model to float32"
                )
        return objections

    def _check_weights(self, graph: Any, model: QuantizedModel) -> list[str]:
        return [
            f"{self.name}: {weight.layer}: torch.onnx left no trace of its weight {weight.name}; leave the "
            f"layer in full precision with {option('layer_config')}, or use {option('formats', 'pt2')}"
            for weight in model.weights
            if parameter_value(graph, weight) is None
        ]

    def _check_leftovers(self, model: QuantizedModel, is_large: bool) -> list[str]:
        data = Path(model.folder) / data_name(model)
        if not data.exists() or is_large:
            return []
        return [f"{data}: is of an earlier run and would stay beside the new file; remove it"]


class OnnxQdq(_OnnxFormat):
    """Integer weights and activations between QuantizeLinear and DequantizeLinear."""

    name = "onnx"
    description = "ONNX: weights as int2 to int16 with DequantizeLinear, activations as QDQ pairs"
    holds_activations = True

    def _notes(self, graph: Any, model: QuantizedModel) -> list[str]:
        has_activations = bool(model.activations)
        widths = [weight_bits(graph, weight, has_activations) for weight in model.weights]
        return _width_notes(self.name, model, widths) + _short_group_notes(self.name, model.weights)

    def _edit(self, graph: Any, model: QuantizedModel) -> list[Held]:
        held = []
        for weight in model.weights:
            bits = weight_bits(graph, weight, bool(model.activations))
            held.append(quantize_weight(graph, weight, model.encode(weight.index), bits, _has_short(model)))
        quantize_activations(graph, model)
        return held


class OnnxFloat(_OnnxFormat):
    """The float model that AIMET's and Qualcomm's tools read beside an encodings file."""

    name = "onnx-float"
    description = "ONNX: the float model, weights on their grid, for tools that read encodings beside it"
    replaces_weights = False
    widths: list[int] = []

    def _bytes(self, graph: Any, model: QuantizedModel, weight: Weight) -> int:
        return float_bytes(weight)

    def _edit(self, graph: Any, model: QuantizedModel) -> list[Held]:
        held = []
        for weight in model.weights:
            value = parameter_value(graph, weight)
            if value is not None and value.name != weight.name:
                del graph.initializers[value.name]
                value.name = weight.name
                graph.initializers[weight.name] = value
            held.append(Held(weight, [value], _floats))
        drop_markers(graph, model)
        return held


class OnnxMatMulNBits(_OnnxFormat):
    """Linear layers as ONNX Runtime's MatMulNBits; other weights and activations as in ``onnx``."""

    name = "onnx-matmulnbits"
    description = (
        "ONNX: Linear layers as ONNX Runtime's MatMulNBits, the rest as onnx; :int8 is faster, inexact"
    )
    targets = ["int8"]
    holds_activations = True

    def _check_weights(self, graph: Any, model: QuantizedModel) -> list[str]:
        objections = super()._check_weights(graph, model)
        for weight in model.weights:
            if is_linear(graph, weight):
                objections += self._check_linear(weight)
        if not any(is_linear(graph, weight) for weight in model.weights):
            objections.append(
                f"{self.name}: the model has no quantized Linear layer; use {option('formats', 'onnx')}"
            )
        return objections

    def _check_linear(self, weight: Weight) -> list[str]:
        if weight.group_size and weight.group_size not in BLOCK_SIZES:
            return [
                f"{self.name}: {weight.layer}: got groups of {weight.group_size}, expected "
                f"{', '.join(map(str, BLOCK_SIZES))} or per channel; set {option('group_size')}, "
                f"or use {option('formats', 'onnx')}"
            ]
        if weight.dtype == torch.float16 or weight.dtype == torch.bfloat16:
            return [
                f"{self.name}: {weight.layer}: its weight is {str(weight.dtype).removeprefix('torch.')}, "
                f"expected float32; convert the model, or use {option('formats', 'onnx')}"
            ]
        return []

    def _notes(self, graph: Any, model: QuantizedModel) -> list[str]:
        beside = [w.layer for w in model.weights if not holds(graph, w)]
        notes = _width_notes(self.name, model, self._widths(graph, model))
        if beside:
            notes.append(f"{self.name}: as in onnx, no MatMulNBits: {_some(beside)}")
        return notes + _short_group_notes(self.name, [w for w in model.weights if not holds(graph, w)])

    def _bytes(self, graph: Any, model: QuantizedModel, weight: Weight) -> int:
        return blocks_bytes(weight) if holds(graph, weight) else super()._bytes(graph, model, weight)

    def _has_onnx_type(self, graph: Any, weight: Weight) -> bool:
        return not holds(graph, weight)

    def _widths(self, graph: Any, model: QuantizedModel) -> list[int]:
        has_activations = bool(model.activations)
        return [
            stored_bits(weight.bits) if holds(graph, weight) else weight_bits(graph, weight, has_activations)
            for weight in model.weights
        ]

    def _edit(self, graph: Any, model: QuantizedModel) -> list[Held]:
        level = _INT8_ACTIVATIONS if model.target == "int8" else _AS_THE_RUNTIME_LIKES
        held = []
        for weight in model.weights:
            encoding = model.encode(weight.index)
            if holds(graph, weight):
                held.append(quantize_products(graph, weight, encoding, level))
            else:
                bits = weight_bits(graph, weight, bool(model.activations))
                held.append(quantize_weight(graph, weight, encoding, bits, _has_short(model)))
        quantize_activations(graph, model)
        return held


def _floats(values: Tensor) -> Tensor:
    return values


def _has_short(model: QuantizedModel) -> bool:
    return any(activation.bits <= 8 for activation in model.activations)


def _knows_two_bits() -> bool:
    import onnx

    return int(onnx.defs.onnx_opset_version()) >= OPSET_OF_2_BITS


def _check_two_bits(name: str, two_bits: list[str]) -> list[str]:
    import onnx

    if not two_bits or _knows_two_bits():
        return []
    return [
        f"{name}: {_some(two_bits)}: 2 bits need ONNX's opset 25, and onnx {onnx.__version__} ends at "
        f"{onnx.defs.onnx_opset_version()}; pip install 'onnx>=1.20', or use 3 bits or more"
    ]


def _width_notes(name: str, model: QuantizedModel, widths: list[int]) -> list[str]:
    """Notes on codes without an ONNX type: they are stored in the next wider one."""
    wider: dict[tuple[int, int], list[str]] = {}
    for weight, width in zip(model.weights, widths, strict=True):
        if width != weight.bits:
            wider.setdefault((weight.bits, width), []).append(weight.layer)
    return [
        f"{name}: {bits}-bit codes are stored in {width} bits each, the next type that works: {_some(layers)}"
        for (bits, width), layers in sorted(wider.items())
    ]


def _short_group_notes(name: str, weights: list[Weight]) -> list[str]:
    """OpenVINO 2026.4 refuses DequantizeLinear where its block size does not divide the axis."""
    short = [w.layer for w in weights if w.group_size and w.shape[w.group_axis] % w.group_size]
    if not short:
        return []
    return [f"{name}: ONNX Runtime reads a short last group, OpenVINO does not: {_some(short)}"]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
