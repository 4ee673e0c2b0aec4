"""The models that both programs are timed on. Torch only."""

from __future__ import annotations

import torch
from torch import nn

LENGTH = 512  # of the longest row of tokens


class LinearBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.relu(self.fc1(x)))


class SeedBlock(nn.Module):
    """A block of the toy model on AIMET's AdaScale page."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout()
        self.fc2 = nn.Linear(32, 64)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.softmax(self.fc2(self.dropout(self.relu(self.fc1(x)))))


class InvertedResidual(nn.Module):
    """MobileNetV2's block (arXiv 1801.04381), BatchNorm folded away."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.expand = nn.Conv2d(channels, wide, 1)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.project = nn.Conv2d(wide, channels, 1)
        self.act1 = nn.ReLU6()
        self.act2 = nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.project(self.act2(self.depthwise(self.act1(self.expand(x)))))


class Stack(nn.Module):
    """Blocks in succession; AIMET is told this class."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class CausalLM(nn.Module):
    """A transformers model as tokens to logits. AIMET traces models, which transformers' mask builder does
    not survive: the causal mask is made here."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.lm = model
        lowest = torch.finfo(torch.float32).min
        self.register_buffer("mask", torch.full((1, 1, LENGTH, LENGTH), lowest).triu(1))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        length = input_ids.shape[1]
        mask = self.mask[:, :, :length, :length]
        return self.lm(input_ids, attention_mask=mask, use_cache=False, return_dict=False)[0]


class HiddenState(CausalLM):
    """The same up to the output of its last block."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.model)
        self.lm.norm = nn.Identity()


class Encoder(nn.Module):
    """A BERT as tokens to its last hidden state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.bert = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.bert(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)[0]
