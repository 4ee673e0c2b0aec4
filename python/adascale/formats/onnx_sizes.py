"""The size of an ONNX file in bytes, computed only from shapes."""

import math
from typing import Any

from .onnx_nbits import block_size
from .onnx_storage import blocked_axis, stored_bits
from .quantized import Weight


def codes_bytes(weight: Weight, bits: int) -> int:
    """Bytes of DequantizeLinear's inputs: codes of that many bits, scales and zero points."""
    return _packed(math.prod(weight.shape), bits) + _ranges_bytes(_ranges(weight), weight, bits)


def blocks_bytes(weight: Weight) -> int:
    """Bytes of MatMulNBits' inputs: rows are padded to whole blocks, each of which has a scale."""
    (rows, columns), size, bits = weight.shape, block_size(weight), stored_bits(weight.bits)
    count = math.ceil(columns / size)
    zero_points = 0 if weight.symmetric else rows * _packed(count, bits)
    return _packed(rows * count * size, bits) + rows * count * 4 + zero_points


def float_bytes(weight: Weight) -> int:
    return math.prod(weight.shape) * weight.dtype.itemsize


def values_bytes(value: Any) -> int:
    """Bytes of an initializer, which may have no values yet."""
    return _packed(math.prod(value.shape.numpy()), value.dtype.bitwidth)


def _ranges(weight: Weight) -> int:
    """The number of scales that ``onnx_storage.store`` makes."""
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
