"""Blocks in bf16: what else reads their weights gets the dtype that it wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import adascale

WIDTH, WORDS, BATCHES = 16, 50, 6


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(torch.tanh(self.a(x)))


class Unflattened(Block):
    """A product whose weight comes through `unflatten`."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.randn(2 * WIDTH, WIDTH) / WIDTH**0.5)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.heads.unflatten(0, (2, WIDTH)).mT
        return super().forward(torch.matmul(x.unsqueeze(1), heads).sum(1))


class Contracted(nn.Module):
    """An einsum, whose operands are a list, with another block's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = Block(), Block()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(x + torch.einsum("bsd,kd->bsk", x, self.first.a.weight)[..., :WIDTH])


class Doubled(Block):
    def forward(self, x: Tensor) -> Tensor:
        return x + nn.functional.linear(torch.tanh(self.a(x)).double(), self.b.weight.double()).float()


class Attends(Block):
    """Attention spelled out and in bf16 by the model itself, as its projections are."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.v, self.o = (nn.Linear(WIDTH, WIDTH, bias=False).bfloat16() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        own = x.bfloat16()
        weights = torch.softmax(self.q(own) @ own.mT, -1)
        return super().forward(x + self.o(weights @ self.v(own)).float())


class Tied(nn.Module):
    """A table inside a block is also the head's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Table()
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.body.table.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.body(words))


class Table(Block):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm = nn.Embedding(WORDS, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, words: Tensor) -> Tensor:
        return super().forward(self.norm(self.table(words)))


MODELS: dict[str, tuple[Callable[[], nn.Module], list[str] | None]] = {
    "unflattened": (lambda: nn.Sequential(Unflattened(), Unflattened()), None),
    "in an einsum between blocks": (Contracted, ["first", "last"]),
    "in an einsum of the same block": (Contracted, None),
    "beside attention in bf16": (lambda: nn.Sequential(Attends(), Attends()), None),
    "cast to double": (lambda: nn.Sequential(Doubled(), Doubled()), None),
    "looked up": (Tied, None),
}


def trained(name: str, precision: str) -> Any:
    make, blocks = MODELS[name]
    torch.manual_seed(7)
    model = make().eval()
    data = [
        torch.randint(0, WORDS, (4, 6)) if name == "looked up" else torch.randn(4, 6, WIDTH)
        for _ in range(BATCHES)
    ]
    sim = adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)
    return adascale.apply_adascale(
        sim, data, num_iterations=12, blocks=blocks, precision=precision, progress=False
    )


@pytest.mark.parametrize("name", MODELS)
def test_all_readers_of_a_weight_agree_on_its_dtype(name: str) -> None:
    full, lower = trained(name, "float32"), trained(name, "bfloat16")
    assert lower.precision.startswith("bfloat16")
    assert [[layer.name for layer in block.layers] for block in lower.blocks] == [
        [layer.name for layer in block.layers] for block in full.blocks
    ]
    for a, b in zip(full.blocks, lower.blocks, strict=True):
        assert b.loss_before == pytest.approx(
            a.loss_before, rel=0.25
        )  # later blocks read what the first gives
        assert b.loss_after < b.loss_before


class Watched(TorchDispatchMode):
    """The dtypes that an operator got."""

    def __init__(self, operator: str) -> None:
        super().__init__()
        self.operator, self.seen = operator, list[torch.dtype]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ == self.operator:
            self.seen.append(next(value for value in args if isinstance(value, Tensor)).dtype)
        return func(*args, **(kwargs or {}))


def test_norms_and_the_full_precision_models_lookups_stay_float() -> None:
    with Watched("native_layer_norm") as norms:
        trained("looked up", "bfloat16")
    assert set(norms.seen) == {torch.float32}
    with Watched("embedding") as lookups:
        trained("looked up", "bfloat16")
    assert lookups.seen[:BATCHES] == [torch.float32] * BATCHES


def test_a_product_in_double_stays_one() -> None:
    with Watched("mm") as products:
        trained("cast to double", "bfloat16")
    assert set(products.seen) == {torch.bfloat16, torch.float64}
