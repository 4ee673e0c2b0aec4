"""How many bytes an ONNX file takes, from shapes alone."""

import math
from typing import Any

from .onnx_nbits import block_size
from .onnx_storage import blocked_axis, stored_bits
from .quantized import Weight


def codes_bytes(weight: Weight, bits: int) -> int:
    """DequantizeLinear's inputs: codes of so many bits, scales and zero points."""
    return _packed(math.prod(weight.shape), bits) + _ranges_bytes(_ranges(weight), weight, bits)


def blocks_bytes(weight: Weight) -> int:
    """MatMulNBits' inputs: rows are filled up to whole blocks, each of which has a scale."""
    (rows, columns), size, bits = weight.shape, block_size(weight), stored_bits(weight.bits)
    count = math.ceil(columns / size)
    zero_points = 0 if weight.symmetric else rows * _packed(count, bits)
    return _packed(rows * count * size, bits) + rows * count * 4 + zero_points


def float_bytes(weight: Weight) -> int:
    return math.prod(weight.shape) * weight.dtype.itemsize


def values_bytes(value: Any) -> int:
    """Of an initializer, which may have no values yet."""
    return _packed(math.prod(value.shape.numpy()), value.dtype.bitwidth)


def _ranges(weight: Weight) -> int:
    """How many scales ``onnx_storage.store`` makes."""
    blocked = blocked_axis(weight)
    if blocked is None:
        return weight.shape[weight.scaled_axes[0]] if weight.scaled_axes else 1
    shape, (axis, length) = list(weight.shape), blocked
    shape[axis] = math.ceil(shape[axis] / length)
    return math.prod(shape)


def _ranges_bytes(count: int, weight: Weight, bits: int) -> int:
    return count * 4 + (0 if weight.symmetric else _packed(count, bits))


def _packed(count: int, bits: int) -> int:
    return math.ceil(count * bits / 8)
