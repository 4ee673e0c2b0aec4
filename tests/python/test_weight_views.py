"""Weights that reach their layer through views, slices, casts and indices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from layer_kinds import correlated
from torch import Tensor, nn
from torch.nn import functional

import adascale

WIDTH = 8


class Viewed(nn.Module):
    """One parameter, then a Linear: a block."""

    def __init__(self, sizes: tuple[int, ...], apply: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.stack = nn.Parameter(torch.randn(sizes) / WIDTH**0.5)
        self.apply_weight, self.out = apply, nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.apply_weight(x, self.stack)))


def experts(x: Tensor, weight: Tensor) -> Tensor:
    """Every token's own expert, as mixtures of experts gather them: [experts, out, in]."""
    chosen = (x.sum(-1) > 0).long().flatten()
    tokens = x.reshape(-1, 1, WIDTH)
    return torch.bmm(tokens, weight[chosen].transpose(1, 2)).view_as(x)


def three_parts(x: Tensor, weight: Tensor) -> Tensor:
    q, k, v = (functional.linear(x, part) for part in weight.chunk(3))
    return q * torch.sigmoid(k) + v


# name -> (the parameter's sizes, its use, the axes whose every index must have scales of its own)
VIEWS: dict[str, tuple[tuple[int, ...], Callable[[Tensor, Tensor], Tensor], tuple[int, ...]]] = {
    "transposed": ((WIDTH, WIDTH), lambda x, w: functional.linear(x, w.t()), (1,)),
    "permuted": ((WIDTH, WIDTH), lambda x, w: x @ w.permute(1, 0), (0,)),
    "cast": ((WIDTH, WIDTH), lambda x, w: functional.linear(x.double(), w.double()).float(), (0,)),
    "chunks": ((3 * WIDTH, WIDTH), three_parts, (0,)),
    "sliced": ((WIDTH, 2 * WIDTH), lambda x, w: functional.linear(x, w[:, :WIDTH]), (0,)),
    "selected": ((3, WIDTH, WIDTH), lambda x, w: functional.linear(x, w[1]), (1,)),
    "heads split": (
        (WIDTH, WIDTH),
        lambda x, w: torch.einsum("bsd,hkd->bshk", x, w.view(2, 4, WIDTH)).flatten(2),
        (0,),
    ),
    "heads joined": ((2, 4, WIDTH), lambda x, w: functional.linear(x, w.reshape(WIDTH, WIDTH)), (0, 1)),
    "a kernel of one": (
        (WIDTH, WIDTH),
        lambda x, w: functional.conv1d(x.mT, w.unsqueeze(-1)).mT,
        (0,),
    ),
    "experts": ((3, WIDTH, WIDTH), experts, (0, 1)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_the_parameter_is_on_its_grid_and_trained(view: str) -> None:
    sizes, apply, axes = VIEWS[view]
    generator = torch.Generator().manual_seed(7)
    data = [correlated((8, 12, WIDTH), generator) for _ in range(8)]
    model = Viewed(sizes, apply).eval()
    before = model.stack.detach().clone()
    sim = adascale.QuantizationSimModel(
        model, dummy_input=data[0], default_param_bw=2, default_output_bw=32, symmetric=False
    )
    report = adascale.apply_adascale(sim, data, num_iterations=80, lr_scale=0.3, progress=False)
    assert not report.not_trained
    (block,) = report.blocks
    assert [layer.name for layer in block.layers] == ["stack", "out"]
    assert all(layer.codes_moved > 0 for layer in block.layers)
    assert block.loss_after < block.loss_before
    weight = dict(sim.model.named_parameters())["stack"]
    channels = weight.movedim(axes, tuple(range(len(axes)))).flatten(0, len(axes) - 1).flatten(1)
    assert all(channel.unique().numel() <= 4 for channel in channels)
    assert weight.unique().numel() > 4
    assert torch.equal(model.stack, before)


class Outside(nn.Module):
    """The view is made before the block that reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.block = Reads()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x, self.weight.t())


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x))) + x @ weight


def test_a_view_made_outside_its_block_is_reported() -> None:
    data = [torch.randn(2, 5, WIDTH) for _ in range(2)]
    sim = adascale.QuantizationSimModel(Outside().eval(), dummy_input=data[0], default_param_bw=2)
    report = adascale.apply_adascale(sim, data, num_iterations=2, blocks=["block"], progress=False)
    assert report.not_trained == [
        "weight: round-to-nearest: block reads a view of its weight that is made outside"
    ]


class Confused(nn.Module):
    """Input and output channels along one axis: no scale a channel is possible."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH * WIDTH))
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x) + x @ self.weight.view(WIDTH, WIDTH))


def test_axes_that_cannot_be_told_apart_are_reported() -> None:
    data = [torch.randn(2, 5, WIDTH) for _ in range(2)]
    sim = adascale.QuantizationSimModel(Confused().eval(), dummy_input=data[0], default_param_bw=2)
    report = adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
    (line,) = report.not_trained
    assert "its input and output channels cannot be told apart in weight" in line


def test_trained_false_keeps_round_to_nearest() -> None:
    data = [torch.randn(2, 5, WIDTH) for _ in range(2)]
    sim = adascale.QuantizationSimModel(
        Viewed(*VIEWS["transposed"][:2]).eval(),
        dummy_input=data[0],
        default_param_bw=2,
        layer_config={"out": {"trained": False}},
    )
    report = adascale.apply_adascale(sim, data, num_iterations=8, progress=False)
    assert report.not_trained == ["out: round-to-nearest, as layer_config says"]
    assert [layer.name for layer in report.blocks[0].layers] == ["stack"]


class Tied(nn.Module):
    """A language model in small: an embedding tied to the head, a block between."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.block = nn.Embedding(20, WIDTH), Reads()
        self.head = nn.Linear(WIDTH, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        return self.head(self.block(x, torch.eye(WIDTH)))


def test_layers_outside_train_as_blocks_of_their_own() -> None:
    data = [torch.randint(0, 20, (8, 12)) for _ in range(8)]
    sim = adascale.QuantizationSimModel(
        Tied().eval(), dummy_input=data[0], default_param_bw=2, default_output_bw=32
    )
    report = adascale.apply_adascale(
        sim, data, num_iterations=80, lr_scale=0.3, blocks=["block"], train_outside=True, progress=False
    )
    assert not report.not_trained
    assert [block.name for block in report.blocks][1:] == ["block"]  # the first: the tied weight's
    assert all(block.loss_after < block.loss_before for block in report.blocks)
    state = sim.model.state_dict()
    assert torch.equal(state["embed.weight"], state["head.weight"])
