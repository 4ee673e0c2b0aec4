"""Codes in ONNX's form: its integer types, and the axis and block size of DequantizeLinear."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .quantized import Encoding, Weight


@dataclass(frozen=True)
class Stored:
    """The inputs and attributes of one DequantizeLinear."""

    codes: Tensor
    scale: Tensor  # one element; [channels]; or blocked, the rank of ``codes``
    zero_point: Tensor | None  # the shape of ``scale``
    bits: int  # 2, 4, 8 or 16: those of the type that holds the codes
    signed: bool
    axis: int | None  # None: one scale for all
    block_size: int  # 0: not blocked

    def transposed(self) -> "Stored":
        """The same for the transposed matrix."""
        blocked = self.scale.dim() == 2
        return Stored(
            self.codes.T.contiguous(),
            self.scale.T.contiguous() if blocked else self.scale,
            self.zero_point.T.contiguous() if blocked and self.zero_point is not None else self.zero_point,
            self.bits,
            self.signed,
            None if self.axis is None else 1 - self.axis,
            self.block_size,
        )


def stored_bits(bits: int) -> int:
    """The width of the narrowest ONNX type for codes of that many bits."""
    return next(width for width in (2, 4, 8, 16) if bits <= width)


def store(weight: Weight, encoding: Encoding, bits: int) -> Stored:
    """ONNX scales differ along one axis, or are blocked along one axis and differ along all others."""
    scale, offset, signed = encoding.scale, encoding.offset, weight.symmetric
    axes, shape, blocked = weight.scaled_axes, list(weight.shape), blocked_axis(weight)
    if blocked is None:
        zero = None if signed else (-offset).reshape(-1) if axes else (-offset).reshape(())
        flat = scale.reshape(-1) if axes else scale.reshape(())
        return Stored(encoding.codes, flat, zero, bits, signed, axes[0] if axes else None, 0)
    axis, block_size = blocked
    if weight.group_size:
        scale, offset = scale.squeeze(axis + 1), offset.squeeze(axis + 1)
    shape[axis] = math.ceil(shape[axis] / block_size)
    scale, offset = scale.expand(shape).contiguous(), offset.expand(shape).contiguous()
    return Stored(encoding.codes, scale, None if signed else -offset, bits, signed, axis, block_size)


def blocked_axis(weight: Weight) -> tuple[int, int] | None:
    """The axis of blocked scales, and the blocks' length; None: the scales differ along one axis."""
    if weight.group_size:
        return weight.group_axis, weight.group_size
    if len(weight.scaled_axes) < 2:
        return None
    others = (axis for axis in range(len(weight.shape)) if axis not in weight.scaled_axes)
    axis = max(others, key=lambda axis: weight.shape[axis])
    return axis, weight.shape[axis]


def dequantize(
    axis: int | None, block_size: int, codes: Tensor, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    """DequantizeLinear as ONNX defines it, in fp32."""

    def spread(values: Tensor) -> Tensor:
        if axis is None:
            return values
        if block_size:
            return values.repeat_interleave(block_size, axis).narrow(axis, 0, codes.shape[axis])
        return values.reshape([-1 if place == axis else 1 for place in range(codes.dim())])

    centered = codes if zero_point is None else codes - spread(zero_point)
    return centered.float() * spread(scale)


def integer_tensor(values: Tensor, bits: int, signed: bool, name: str) -> Any:
    """An ``onnx_ir`` tensor of int2 to uint16; below 8 bits two or four codes per byte, low bits first."""
    import onnx_ir as ir

    kind = ir.DataType[f"{'INT' if signed else 'UINT'}{bits}"]
    if bits >= 8:
        return ir.Tensor(values.cpu().numpy().astype(kind.numpy()), name=name)
    return ir.PackedTensor(pack(values, bits).numpy(), kind, shape=ir.Shape(values.shape), name=name)


def pack(values: Tensor, bits: int) -> Tensor:
    """Uint8 with ``8 / bits`` codes per byte, flat, low bits first; the last byte is padded with zeros."""
    per_byte = 8 // bits
    flat = values.reshape(-1).to(torch.uint8).bitwise_and(2**bits - 1)
    flat = torch.nn.functional.pad(flat, (0, -flat.numel() % per_byte)).reshape(-1, per_byte)
    packed = flat[:, 0].clone()
    for place in range(1, per_byte):
        packed |= flat[:, place] << (bits * place)
    return packed
