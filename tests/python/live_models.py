"""Models that torch.export refuses as a whole, and helpers of their tests."""

from typing import Any

import torch
from torch import Tensor, nn

from adascale import QuantizationSimModel

BLOCKS = [f"layers.{i}" for i in range(3)]


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.down(torch.relu(self.up(x)))


class Branchy(nn.Module):
    """Its path depends on the data's values."""

    def __init__(self, layer: type[nn.Module] = Layer) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.layers = nn.ModuleList(layer() for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.sum() > 0:
            x = -x
        for layer in self.layers:
            x = layer(x, scale=0.5)
        return self.head(x)


def branchy_data(count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6, 8, generator=generator) for _ in range(count)]


def simulate(model: nn.Module, bits: int = 4, output_bw: int = 32, **options: Any) -> QuantizationSimModel:
    example = options.pop("example", branchy_data(1)[0])
    return QuantizationSimModel(model, example, default_param_bw=bits, default_output_bw=output_bw, **options)


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)}
