"""A model for every row of the layer table, named by its operator and weight in `adascale list layers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

WIDTH = 16


class Block(nn.Module):
    """Two layers of a kind with a nonlinearity between; `apply` calls one layer on the other's output."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class Product(nn.Module):
    """A parameter in a matrix product; `multiply` gets x and the weight."""

    def __init__(self, weight: tuple[int, ...], multiply: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(weight) / WIDTH**0.5)
        self.multiply = multiply

    def forward(self, x: Tensor) -> Tensor:
        return self.multiply(x, self.weight)


class Experts(nn.Module):
    """A third of the rows for each of three matrices, as transformers multiplies them in float32."""

    def __init__(self) -> None:
        super().__init__()
        # Registers the operator. Not in forward: transformers registers no output class that is
        # imported while torch exports.
        import transformers.integrations.moe  # noqa: F401

        self.weight = nn.Parameter(torch.randn(STACK) / WIDTH**0.5)

    def forward(self, x: Tensor) -> Tensor:
        ends = (torch.arange(1, 4, device=x.device) * x.shape[0] // 3).to(torch.int32)
        return torch.ops.transformers.grouped_mm_fallback(x, self.weight, ends)


class First(nn.Module):
    """The outputs of a recurrent layer, without its states."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Halves(nn.Module):
    """A layer of two inputs, given two parts of one."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[..., :4], x[..., 4:8])


class Looked(nn.Module):
    """A table's rows, then two layers: a block."""

    def __init__(self, table: nn.Module) -> None:
        super().__init__()
        self.table = table
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(self.table(ids))))


@dataclass
class Row:
    op: str
    weight: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]  # of the input, float
    rows: int = 0  # of a table: the input is ids below it
    axes: tuple[int, ...] = (0,)  # of the first weight, that have scales of their own


def twice(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Block(make(), make())


def products(
    op: str,
    weight: tuple[int, ...],
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    left: str,
    right: str,
    multiply: Callable[[Tensor, Tensor], Tensor],
) -> list[Row]:
    """x @ W and W @ x."""

    def from_left(x: Tensor, weight: Tensor) -> Tensor:
        return multiply(weight, x.mT).mT

    flipped = (*weight[:-2], weight[-1], weight[-2])
    left_axes = tuple(axis - 1 if axis == len(weight) - 1 else axis for axis in axes)
    return [
        Row(op, right, twice(lambda: Product(weight, multiply)), shape, axes=axes),
        Row(op, left, twice(lambda: Product(flipped, from_left)), shape, axes=left_axes),
    ]


SQUARE, STACK = (WIDTH, WIDTH), (3, WIDTH, WIDTH)
ROWS = [
    Row("aten::linear", "weight", twice(lambda: nn.Linear(WIDTH, WIDTH)), (8, 12, WIDTH)),
    Row("aten::conv1d", "weight", twice(lambda: nn.Conv1d(WIDTH, WIDTH, 3, padding=1, groups=2)),
        (8, WIDTH, 9)),
    Row("aten::conv2d", "weight", twice(lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1)), (4, WIDTH, 6, 6)),
    Row("aten::conv3d", "weight", twice(lambda: nn.Conv3d(WIDTH, WIDTH, 3, padding=1)), (4, WIDTH, 4, 4, 4)),
    Row("aten::conv_transpose1d", "weight", twice(lambda: nn.ConvTranspose1d(WIDTH, WIDTH, 3)), (8, WIDTH, 9),
        axes=(1,)),
    Row("aten::conv_transpose2d", "weight", twice(lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, groups=2)),
        (4, WIDTH, 5, 5), axes=(1,)),
    Row("aten::conv_transpose3d", "weight", twice(lambda: nn.ConvTranspose3d(WIDTH, WIDTH, 2)),
        (4, WIDTH, 3, 3, 3), axes=(1,)),
    Row("aten::embedding", "weight", lambda: Looked(nn.Embedding(50, WIDTH)), (8, 12), rows=50, axes=()),
    Row("aten::embedding_bag", "weight", lambda: Looked(nn.EmbeddingBag(50, WIDTH)),
        (8, 12), rows=50, axes=()),
    *products("aten::matmul", SQUARE, (8, 12, WIDTH), (1,), "self", "other", torch.matmul),
    *products("aten::mm", SQUARE, (96, WIDTH), (1,), "self", "mat2", torch.mm),
    *products("aten::bmm", STACK, (3, 32, WIDTH), (0, 2), "self", "mat2", torch.bmm),
    *products("aten::addmm", SQUARE, (96, WIDTH), (1,), "mat1", "mat2",
              lambda a, b: torch.addmm(a.new_full((1, 1), 0.1), a, b)),
    *products("aten::baddbmm", STACK, (3, 32, WIDTH), (0, 2), "batch1", "batch2",
              lambda a, b: torch.baddbmm(a.new_full((1, 1, 1), 0.1), a, b)),
    Row("aten::_grouped_mm", "mat2", twice(Experts), (96, WIDTH), axes=(0, 2)),
    Row("aten::bilinear", "weight", twice(lambda: Halves(nn.Bilinear(4, 4, WIDTH))),
        (8, 12, WIDTH)),
    Row("aten::einsum", "tensors",
        lambda: Block(Product((WIDTH, 4, 4), lambda x, w: torch.einsum("bsd, dhk -> bshk", x, w)),
                      Product((4, 4, WIDTH), lambda x, w: torch.einsum("bshk,hkd->bsd", x, w))),
        (8, 12, WIDTH), axes=(1, 2)),
    Row("aten::lstm", "params", twice(lambda: First(nn.LSTM(WIDTH, WIDTH, batch_first=True))),
        (8, 12, WIDTH)),
    Row("aten::gru", "params", twice(lambda: First(nn.GRU(WIDTH, WIDTH, batch_first=True))),
        (8, 12, WIDTH)),
    Row("aten::rnn_tanh", "params", twice(lambda: First(nn.RNN(WIDTH, WIDTH, batch_first=True))),
        (8, 12, WIDTH)),
    Row("aten::rnn_relu", "params",
        twice(lambda: First(nn.RNN(WIDTH, WIDTH, batch_first=True, nonlinearity="relu"))), (8, 12, WIDTH)),
]  # fmt: skip


# The options of a simulation.
GRIDS: dict[str, dict[str, Any]] = {
    "per channel": {},
    "asymmetric per channel": {"symmetric": False},
    "per group": {"group_size": 4},
    "asymmetric per group": {"symmetric": False, "group_size": 4},
    "short last group": {"group_size": 5},
    "LPBQ": {"group_size": 4, "decompressed_bw": 8},
    "per tensor": {"layer_config": {"*": {"per_channel": False}}},
}


def batches(row: Row, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    if row.rows:
        return [torch.randint(0, row.rows, row.shape, generator=generator) for _ in range(count)]
    return [correlated(row.shape, generator) for _ in range(count)]


def correlated(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Numbers correlated along every axis, like real activations: rounding errors of independent inputs
    could hardly compensate each other."""
    x = torch.randn(shape, generator=generator)
    for axis in range(len(shape)):
        x = x + torch.randn([*shape[:axis], 1, *shape[axis + 1 :]], generator=generator)
    return x
