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
    """Every token's own expert, gathered as in mixtures of experts: [experts, out, in]."""
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
    """Input and output channels along one axis: no scale per channel is possible."""

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
    assert report.not_trained == ["out: round-to-nearest, as the layer settings say"]
    assert [layer.name for layer in report.blocks[0].layers] == ["stack"]


class Tied(nn.Module):
    """A small language model: an embedding tied to the head, a block between."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.block = nn.Embedding(20, WIDTH), Reads()
        self.head = nn.Linear(WIDTH, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        return self.head(self.block(x, torch.eye(WIDTH)))


class Autoencoder(nn.Module):
    """One weight, read both ways."""

    def __init__(self, by_matmul: bool) -> None:
        super().__init__()
        self.weight, self.by_matmul = nn.Parameter(torch.randn(WIDTH, 2 * WIDTH) / 4), by_matmul

    def forward(self, x: Tensor) -> Tensor:
        if self.by_matmul:
            return torch.tanh(x @ self.weight) @ self.weight.t()
        return functional.linear(torch.tanh(functional.linear(x, self.weight.t())), self.weight)


@pytest.mark.parametrize("by_matmul", [False, True])
def test_a_weight_read_both_ways_trains(by_matmul: bool) -> None:
    data = [torch.randn(8, 12, WIDTH) for _ in range(8)]
    sim = adascale.QuantizationSimModel(
        Autoencoder(by_matmul).eval(), dummy_input=data[0], default_param_bw=2, default_output_bw=32
    )
    report = adascale.apply_adascale(sim, data, num_iterations=80, lr_scale=0.3, progress=False)
    assert report.blocks[0].loss_after < report.blocks[0].loss_before


class Heads(nn.Module):
    """Heads joined in the order of the parameter's axes, or in the other."""

    def __init__(self, weight: Tensor, permuted: bool) -> None:
        super().__init__()
        self.weight, self.permuted = nn.Parameter(weight.transpose(0, 1) if permuted else weight), permuted
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.permute(1, 0, 2) if self.permuted else self.weight
        return self.out(x @ weight.reshape(WIDTH, WIDTH))


def test_inputs_count_for_the_weights_they_meet() -> None:
    """The clip search weighs errors by the inputs: the parameter's own layout must not matter."""
    data = [torch.randn(8, 12, WIDTH) * torch.logspace(-1, 1, WIDTH) for _ in range(4)]
    weight = torch.randn(2, WIDTH // 2, WIDTH)
    losses = []
    for permuted in (False, True):
        torch.manual_seed(0)
        model = Heads(weight.clone(), permuted).eval()
        sim = adascale.QuantizationSimModel(model, data[0], param_bw=3, output_bw=32)
        report = adascale.apply_adascale(sim, data, recipe="clip", keep_better=False, progress=False)
        losses.append(report.blocks[0].loss_after)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


class Computed(nn.Module):
    """Weights computed from parameters, and a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.low = nn.Parameter(torch.randn(WIDTH, WIDTH)), nn.Parameter(torch.randn(WIDTH, 2))
        self.cell = nn.LSTMCell(WIDTH, WIDTH)
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.tanh(self.a(x)))
        x = functional.linear(x, (self.weight - self.weight.mean()) / self.weight.std())
        x = functional.linear(x, self.weight + self.low @ self.low.t())
        return self.cell(x)[0]


def test_weights_that_are_computed_are_reported() -> None:
    data = [torch.randn(4, WIDTH) for _ in range(2)]
    sim = adascale.QuantizationSimModel(Computed().eval(), data[0], param_bw=4, output_bw=32)
    report = adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
    reasons = " | ".join(report.not_trained)
    assert reasons.count("its weight is computed from weight") == 2
    assert "aten::lstm_cell with parameter cell.weight_ih" in reasons


def test_a_tied_weight_answers_to_each_of_its_names_and_kinds() -> None:
    ids = torch.randint(0, 20, (2, 6))
    for pattern in ("embed", "head", "Embedding", "Linear"):
        model = Tied().eval()
        sim = adascale.QuantizationSimModel(
            model, ids, param_bw=4, output_bw=32, layer_config={pattern: {"param_bw": 32}}
        )
        adascale.apply_adascale(sim, [ids], recipe="rtn", blocks=["block"], progress=False)
        sim.compute_encodings(lambda simulated, _: simulated(ids), None)
        assert torch.equal(sim.model.state_dict()["embed.weight"], model.embed.weight), pattern


def test_train_outside_without_such_layers_is_refused() -> None:
    data = [torch.randn(2, 5, WIDTH)]
    sim = adascale.QuantizationSimModel(Reads2().eval(), data[0], param_bw=4, output_bw=32)
    with pytest.raises(adascale.Error, match="train_outside: no layer outside the blocks is quantized"):
        adascale.apply_adascale(sim, data, num_iterations=2, train_outside=True, progress=False)


class Reads2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)))


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
