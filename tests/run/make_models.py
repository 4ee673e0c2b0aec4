"""Exports the small models of these tests: make_models.py FOLDER."""

import pathlib
import sys

import torch
from torch import nn
from torch.export import Dim


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


class Blocks(nn.Module):
    """Two blocks, and a head outside them."""

    def __init__(self, width=16, classes=5):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Sum(Blocks):
    """Two inputs."""

    def forward(self, left, right):
        return super().forward(left + right)


class LanguageModel(nn.Module):
    """Logits over 24 tokens, causal by having no attention."""

    def __init__(self, vocabulary=24, width=16):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, input_ids, attention_mask):
        x = self.embedding(input_ids) * attention_mask.unsqueeze(-1)
        for block in self.blocks:
            x = block(x)
        return self.head(x), x


class AttentionBlock(nn.Module):
    """q, k and v read one value, gate and up another."""

    def __init__(self, width):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, 2 * width, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x):
        x = x + self.o(torch.softmax(self.q(x) * self.k(x), -1) * self.v(x))
        return x + self.down(torch.relu(self.gate(x)) * self.up(x))


class Attention(Blocks):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([AttentionBlock(16)])


class ConvBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x):
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + x)


class Cnn(nn.Module):
    """Two residual blocks whose batch norms fold, and one after an addition."""

    def __init__(self, width=4):
        super().__init__()
        self.blocks = nn.Sequential(ConvBlock(width), ConvBlock(width))
        self.norm = nn.BatchNorm2d(width)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.3, 3)

    def forward(self, x):
        return self.norm(self.blocks(x) + x)


class SharedBlock(nn.Module):
    def __init__(self, width, common):
        super().__init__()
        self.fc, self.common = nn.Linear(width, width), common

    def forward(self, x):
        return x + self.common(torch.relu(self.fc(x)))


class Shared(nn.Module):
    """A layer that is called before the blocks and in each of them."""

    def __init__(self, width=16):
        super().__init__()
        self.common = nn.Linear(width, width)
        self.blocks = nn.ModuleList(SharedBlock(width, self.common) for _ in range(2))

    def forward(self, x):
        x = self.common(x)
        for block in self.blocks:
            x = block(x)
        return x


def save(folder, name, model, inputs, dims=Dim.AUTO):
    """`dims`: the batch dimension of every input."""
    dynamic = [{axis: dims if axis == 0 else Dim.AUTO for axis in range(x.dim())} for x in inputs]
    program = torch.export.export(model.eval(), inputs, dynamic_shapes=dynamic if dims is not None else None)
    torch.export.save(program, folder / f"{name}.pt2")


def main(folder):
    torch.manual_seed(0)
    x = torch.rand(4, 16)
    save(folder, "blocks", Blocks(), (x,))
    save(folder, "fixed", Blocks(), (x,), dims=None)
    save(folder, "at_3_to_6", Blocks(), (x,), dims=Dim("batch", min=3, max=6))
    save(folder, "sum", Sum(), (x, x.clone()))
    save(folder, "flat", nn.Sequential(nn.Linear(16, 5)), (x,))
    ids = torch.randint(0, 24, (3, 7))
    save(folder, "language", LanguageModel(), (ids, torch.ones_like(ids)))
    save(folder, "cnn", Cnn(), (torch.rand(2, 4, 6, 6),))
    save(folder, "shared", Shared(), (x,))
    save(folder, "bfloat16", Blocks().bfloat16(), (x.bfloat16(),))
    save(folder, "attention", Attention(), (x,))
    faint = Blocks()
    faint.blocks[1].fc2.weight.data.mul_(1e-3)
    save(folder, "faint", faint, (x,))
    broken = Blocks()
    broken.blocks[0].fc1.weight.data[0, 0] = torch.nan
    save(folder, "nan_weight", broken, (x,))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
