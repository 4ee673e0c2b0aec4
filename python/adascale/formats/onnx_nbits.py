"""ONNX Runtime's own products with weights of few bits: MatMulNBits and GatherBlockQuantized."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .onnx_graph import constant, float_constant, node, replace_uses, torch_tensor
from .onnx_read_back import Held
from .onnx_storage import pack, stored_bits
from .onnx_uses import Uses, find_uses
from .onnx_weights import parameter_value, replace_product, take_parameter
from .quantized import Encoding, Weight

MICROSOFT = "com.microsoft"
BLOCK_SIZES = (16, 32, 64, 128, 256)


def is_linear(graph: Any, weight: Weight) -> bool:
    """Whether its only readers are products ``x @ W.T`` and look-ups of rows."""
    value = parameter_value(graph, weight)
    if value is None or len(weight.shape) != 2:
        return False
    uses = find_uses(value)
    return bool(uses.matrix) and not uses.direct and not uses.other


def is_table(graph: Any, weight: Weight) -> bool:
    """Whether it is only looked up, in a form that GatherBlockQuantized supports."""
    value = parameter_value(graph, weight)
    if value is None or len(weight.shape) != 2:
        return False
    uses = find_uses(value)
    only_rows = bool(uses.rows) and not (uses.matrix or uses.direct or uses.other)
    return only_rows and _rows_fit(weight)


def holds(graph: Any, weight: Weight) -> bool:
    """Whether the format writes it with operators of its own; all other weights become QDQ."""
    if weight.bits > 8 or weight.dtype != torch.float32 or not _scales_fit(weight):
        return False
    if is_table(graph, weight):
        return True
    value = parameter_value(graph, weight)
    return is_linear(graph, weight) and (not find_uses(value).rows or _rows_fit(weight))


def _scales_fit(weight: Weight) -> bool:
    if weight.group_size:
        return weight.group_axis == 1 and weight.scaled_axes == [0] and weight.group_size in BLOCK_SIZES
    return weight.scaled_axes in ([], [0])


def _rows_fit(weight: Weight) -> bool:
    """Whether GatherBlockQuantized can hold the rows: it has 4 and 8 bits, and whole blocks."""
    return (
        stored_bits(weight.bits) in (4, 8)
        and _scales_fit(weight)
        and weight.shape[1] % block_size(weight) == 0
    )


def block_size(weight: Weight) -> int:
    """The groups' size, else the largest that divides a row, with the scale repeated."""
    if weight.group_size:
        return weight.group_size
    return max((size for size in BLOCK_SIZES if weight.shape[1] % size == 0), default=BLOCK_SIZES[0])


@dataclass(frozen=True)
class Blocks:
    """MatMulNBits' inputs."""

    codes: Tensor  # uint8 [out, blocks, block_size * bits / 8]
    scale: Tensor  # fp32 [out, blocks]
    zero_point: Tensor | None  # uint8 [out, ceil(blocks * bits / 8)]; None: the middle of the codes
    bits: int
    block_size: int


def cut_blocks(weight: Weight, encoding: Encoding) -> Blocks:
    """Codes counted from zero, low bits first along the row; rows are padded with zeros."""
    (rows, columns), size, bits = weight.shape, block_size(weight), stored_bits(weight.bits)
    count = math.ceil(columns / size)
    codes = encoding.codes.to(torch.int32) + (2 ** (bits - 1) if weight.symmetric else 0)
    codes = torch.nn.functional.pad(codes, (0, count * size - columns))
    scale = _per_block(encoding.scale, rows, count)
    zero_point = None
    if not weight.symmetric:
        zeros = -_per_block(encoding.offset, rows, count)
        zeros = torch.nn.functional.pad(zeros, (0, -count % (8 // bits)))
        zero_point = pack(zeros, bits).reshape(rows, -1)
    return Blocks(pack(codes, bits).reshape(rows, count, -1), scale, zero_point, bits, size)


def _per_block(values: Tensor, rows: int, count: int) -> Tensor:
    """[] or [rows, 1] or [rows, count, 1] to [rows, count]."""
    flat = values.squeeze(2) if values.dim() == 3 else values.reshape(-1, 1)
    return flat.expand(rows, count).contiguous()


def join_blocks(
    columns: int, bits: int, codes: Tensor, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    """The weight [out, columns] of MatMulNBits' inputs, in fp32."""
    zeros: Tensor | int = 2 ** (bits - 1)
    if zero_point is not None:
        zeros = _unpack(zero_point, bits)[:, : scale.shape[1]].unsqueeze(2)
    values = (_unpack(codes, bits) - zeros).float() * scale.unsqueeze(2)
    return values.flatten(1)[:, :columns]


def _unpack(packed: Tensor, bits: int) -> Tensor:
    places = torch.arange(0, 8, bits, dtype=packed.dtype)
    return (packed.unsqueeze(-1) >> places & 2**bits - 1).flatten(-2)


def quantize_products(graph: Any, weight: Weight, encoding: Encoding, accuracy_level: int) -> Held:
    """Replaces every product and look-up of the parameter; the codes take its name and are stored once."""
    value = take_parameter(graph, weight)
    uses, blocks = find_uses(value), cut_blocks(weight, encoding)
    inputs = [
        constant(graph, torch_tensor(blocks.codes, weight.name)),
        float_constant(graph, blocks.scale, f"{weight.name}_scale"),
    ]
    if blocks.zero_point is not None:
        inputs.append(constant(graph, torch_tensor(blocks.zero_point, f"{weight.name}_zero_point")))
    _multiply(graph, weight, blocks, inputs, uses, accuracy_level)
    if uses.rows:
        _look_up(graph, weight, blocks, inputs, uses)
    return Held(weight, inputs, partial(join_blocks, weight.shape[1], blocks.bits))


def _multiply(
    graph: Any, weight: Weight, blocks: Blocks, inputs: list[Any], uses: Uses, accuracy_level: int
) -> None:
    attributes = {
        "N": weight.shape[0],
        "K": weight.shape[1],
        "bits": blocks.bits,
        "block_size": blocks.block_size,
        "accuracy_level": accuracy_level,
    }
    for use in uses.matrix:
        given = [use.node.inputs[0], *inputs]
        replace_product(graph, use, "MatMulNBits", given, attributes, domain=MICROSOFT)


def _look_up(graph: Any, weight: Weight, blocks: Blocks, inputs: list[Any], uses: Uses) -> None:
    shape = constant(graph, torch_tensor(torch.tensor([weight.shape[0], -1]), f"{weight.name}_rows_shape"))
    table = node("Reshape", [inputs[0], shape], f"{weight.name}_rows", dtype=inputs[0].dtype)
    graph.insert_before(graph[0], [table])
    attributes = {"gather_axis": 0, "quantize_axis": 1, "block_size": blocks.block_size, "bits": blocks.bits}
    for gather in uses.rows:
        result, indices = gather.outputs[0], gather.inputs[1]
        name, result.name = result.name, f"{result.name}_replaced"
        given = [table.outputs[0], indices, *inputs[1:]]
        found = node("GatherBlockQuantized", given, name, attributes, like=result, domain=MICROSOFT)
        graph.insert_before(gather, [found])
        replace_uses(graph, result, found.outputs[0])
        graph.remove(gather, safe=True)
