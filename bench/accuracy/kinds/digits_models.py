"""The two classifiers of handwritten digits, of modules of torch alone. digits.py trains them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

SIDE = 8  # of an image, pixels
DIGITS = 10
FILE = "model.safetensors"


class Residual(nn.Module):
    """[n, channels, h, w] to the same. It has no batch norms: those of training are folded."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.middle = nn.ReLU()
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.second(self.middle(self.first(x))))


class DigitsCNN(nn.Module):
    """Images [n, 1, 8, 8] to scores [n, 10]."""

    def __init__(self, channels: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Residual(channels) for _ in range(blocks)))
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(channels * (SIDE // 2) ** 2, DIGITS)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(images))).flatten(1))


class VitBlock(nn.Module):
    """A transformer's block, norms first: [n, tokens, width] to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm_of_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.act = nn.GELU()
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.down(self.act(self.up(self.norm_of_mlp(x))))


class DigitsViT(nn.Module):
    """Images [n, 1, 8, 8] to scores [n, 10], by patches of 2 x 2."""

    def __init__(self, width: int = 64, heads: int = 4, blocks: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 2, 2)
        self.positions = nn.Parameter(torch.randn((SIDE // 2) ** 2, width) * 0.02)
        self.blocks = nn.Sequential(*(VitBlock(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, DIGITS)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))


MODELS: dict[str, type[nn.Module]] = {"digits_cnn": DigitsCNN, "digits_vit": DigitsViT}


def load_digits_model(folder: str) -> nn.Module:
    """The one that the folder is called after."""
    model = MODELS[Path(folder).name]()
    model.load_state_dict(load_file(Path(folder) / FILE))
    return model
