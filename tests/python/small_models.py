"""Models of a few hundred weights for the tests, and their simulations."""

from typing import Any

import torch
from torch import Tensor, nn

from adascale import QuantizationSimModel, QuantScheme


class LinearBlock(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width // 2)
        self.relu1 = nn.ReLU()
        self.dropout = nn.Dropout(0.1)
        self.fc2 = nn.Linear(width // 2, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.dropout(self.relu1(self.fc1(x))))


class ConsecutiveBlocks(nn.Module):
    """The seed's model, of any width and depth."""

    def __init__(self, width: int = 64, depth: int = 5) -> None:
        super().__init__()
        self.linear_blocks = nn.ModuleList(LinearBlock(width) for _ in range(depth))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.linear_blocks:
            x = block(x)
        return self.softmax(x)


class SmallCnn(nn.Module):
    """[batch, 3, height, width] to [batch, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2),
            nn.ReLU(),
        )
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image).mean((2, 3)))


class Spelled(nn.Module):
    """Takes its arguments in every way of Python, returns a nest of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.ones(6), persistent=False)

    def forward(
        self, x: Tensor, /, y: Tensor, scale: float = 2.0, *, mask: Tensor | None = None, **more: Tensor
    ) -> Any:
        out = self.first(x) * scale + self.second(y) + self.shift
        if mask is not None:
            out = out * mask
        for value in more.values():
            out = out + value
        return {"out": out, "pair": (x + y, None), "count": 3}


def seed_loader(width: int = 64, samples: int = 12, batch: int = 3) -> list[Tensor]:
    return list(torch.rand(samples, 3, 4, width).split(batch))


def seed_sim(model: nn.Module, dummy_input: Any, **options: Any) -> QuantizationSimModel:
    options = {"default_param_bw": 4, "default_output_bw": 16, **options}
    return QuantizationSimModel(
        model, dummy_input, QuantScheme.training_range_learning_with_tf_init, **options
    )


def float_sim(model: nn.Module, dummy_input: Any) -> QuantizationSimModel:
    """Every quantizer off."""
    return QuantizationSimModel(model, dummy_input, param_bw=32, output_bw=32)


def randomize_batch_norms(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model
