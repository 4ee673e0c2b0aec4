"""ONNX's packed codes, without ONNX."""

import importlib.util
import math

import pytest
import torch
from adascale.formats.onnx_nbits import block_size, cut_blocks
from adascale.formats.onnx_sizes import blocks_bytes, codes_bytes
from adascale.formats.onnx_storage import pack, store, stored_bits
from adascale.formats.quantized import Encoding, Weight
from torch import Tensor, nn

from adascale import Error, QuantizationSimModel


def weight_of(shape: list[int], bits: int, symmetric: bool, axes: list[int], group: int = 0) -> Weight:
    group_axis = 1 if group else -1
    return Weight(["w"], "w", shape, torch.float32, bits, symmetric, axes, group_axis, group, True, 0)


def encoding_of(weight: Weight) -> Encoding:
    """Random codes, scales and offsets on the weight's grid."""
    low, high = (
        (-(2 ** (weight.bits - 1)), 2 ** (weight.bits - 1)) if weight.symmetric else (0, 2**weight.bits)
    )
    codes = torch.randint(low, high, weight.shape, dtype=torch.int8 if weight.symmetric else torch.uint8)
    sizes = [size if axis in weight.scaled_axes else 1 for axis, size in enumerate(weight.shape)]
    if weight.group_size:
        sizes[1] = math.ceil(weight.shape[1] / weight.group_size)
        sizes.insert(2, 1)
    scale = torch.rand(sizes if weight.scaled_axes else []) + 0.5
    offset = torch.zeros_like(scale) if weight.symmetric else -torch.randint_like(scale, 0, high)
    return Encoding(codes, scale, offset.int())


def values_of(weight: Weight, encoding: Encoding) -> Tensor:
    codes, offset, scale = encoding.codes.float(), encoding.offset, encoding.scale
    if weight.group_size:
        offset, scale = (
            one.squeeze(2).repeat_interleave(weight.group_size, 1)[:, : weight.shape[1]]
            for one in (offset, scale)
        )
    return (codes + offset) * scale


def test_low_bits_come_first() -> None:
    assert pack(torch.tensor([1, 2, 3]), 4).tolist() == [0x21, 0x03]
    assert pack(torch.tensor([-1, -8]), 4).tolist() == [0x8F]
    assert pack(torch.tensor([1, 2, 3, 0, 1]), 2).tolist() == [0b00111001, 1]
    assert pack(torch.tensor([200, 7]), 8).tolist() == [200, 7]


def test_the_narrowest_type_that_holds_the_codes() -> None:
    assert [stored_bits(bits) for bits in (2, 3, 4, 5, 8, 9, 16)] == [2, 4, 4, 8, 8, 16, 16]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("shape", "axes", "group"),
    [
        ([6, 8], [], 0),
        ([6, 8], [0], 0),
        ([8, 6], [1], 0),
        ([6, 8], [0], 4),
        ([6, 8], [0], 5),
        ([6, 8, 3, 3], [0], 0),
        ([6, 8, 3, 3], [0], 4),
        ([3, 6, 8], [0, 1], 0),
    ],
)
def test_what_is_stored_gives_back_the_weight(
    shape: list[int], axes: list[int], group: int, symmetric: bool
) -> None:
    weight = weight_of(shape, 4, symmetric, axes, group)
    encoding = encoding_of(weight)
    stored = store(weight, encoding, 4)
    zeros = 0 if stored.zero_point is None else pack(stored.zero_point, 4).nbytes
    assert codes_bytes(weight, 4) == pack(stored.codes, 4).nbytes + stored.scale.nbytes + zeros
    assert torch.equal(dequantized(stored), values_of(weight, encoding))
    if len(shape) == 2:
        assert torch.equal(dequantized(stored.transposed()).T, values_of(weight, encoding))


def dequantized(stored: object) -> Tensor:
    """DequantizeLinear as ONNX defines it."""
    codes, scale, zero = stored.codes.float(), stored.scale, stored.zero_point  # type: ignore[attr-defined]
    axis, block = stored.axis, stored.block_size  # type: ignore[attr-defined]
    if block:
        length = codes.shape[axis]
        scale = scale.repeat_interleave(block, axis).narrow(axis, 0, length)
        zero = None if zero is None else zero.repeat_interleave(block, axis).narrow(axis, 0, length)
    elif axis is not None:
        sizes = [-1 if i == axis else 1 for i in range(codes.dim())]
        scale = scale.reshape(sizes)
        zero = None if zero is None else zero.reshape(sizes)
    return (codes if zero is None else codes - zero) * scale


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("columns", "group"), [(64, 0), (64, 16), (40, 0), (96, 32), (72, 32), (8, 16)])
def test_blocks_give_back_the_weight(bits: int, symmetric: bool, columns: int, group: int) -> None:
    weight = weight_of([5, columns], bits, symmetric, [0], group)
    encoding = encoding_of(weight)
    blocks = cut_blocks(weight, encoding)
    assert blocks.block_size == block_size(weight) == (group or {64: 64, 40: 16}[columns])
    zeros = 0 if blocks.zero_point is None else blocks.zero_point.nbytes
    assert blocks_bytes(weight) == blocks.codes.nbytes + blocks.scale.nbytes + zeros
    codes = unpack(blocks.codes, blocks.bits)
    zero = torch.tensor(2.0 ** (blocks.bits - 1))
    if blocks.zero_point is not None:
        zero = unpack(blocks.zero_point, blocks.bits)[:, : blocks.scale.shape[1], None]
    values = ((codes - zero) * blocks.scale[:, :, None]).reshape(5, -1)[:, :columns]
    assert torch.equal(values, values_of(weight, encoding))


def unpack(packed: Tensor, bits: int) -> Tensor:
    places = torch.arange(8 // bits) * bits
    return (packed[..., None] >> places & 2**bits - 1).flatten(-2).float()


@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is not None, reason="onnxscript is installed")
@pytest.mark.parametrize("name", ["onnx", "onnx-float", "onnx-matmulnbits"])
def test_missing_packages_are_named(name: str, tmp_path: object) -> None:
    sim = QuantizationSimModel(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)).eval(), torch.rand(2, 8))
    sim.compute_encodings(lambda model: model(torch.rand(2, 8)))
    with pytest.raises(Error, match=f"{name}: needs the packages onnx, onnxscript; pip install .*onnxscript"):
        sim.export(f"{tmp_path}/out", "m", formats=[name])


def test_two_formats_of_one_file_are_refused(tmp_path: object) -> None:
    sim = QuantizationSimModel(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)).eval(), torch.rand(2, 8))
    with pytest.raises(Error, match="formats: got 'onnx2', expected some of .*onnx-matmulnbits"):
        sim.export(f"{tmp_path}/out", "m", formats=["onnx2"])
