"""Exports the models of placement_test.cpp: placement_models.py FOLDER. BERT only with transformers."""

import importlib.util
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional


class LinearBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.relu1 = nn.ReLU()
        self.dropout = nn.Dropout(0.1)
        self.fc2 = nn.Linear(32, 64)

    def forward(self, x):
        return self.fc2(self.dropout(self.relu1(self.fc1(x))))


class Seed(nn.Module):
    """The model of AIMET's sample encodings."""

    def __init__(self):
        super().__init__()
        self.linear_blocks = nn.ModuleList(LinearBlock() for _ in range(5))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        for block in self.linear_blocks:
            x = block(x)
        return self.softmax(x)


class ResidualBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + x)


class Residual(nn.Module):
    """Batch norms, an in-place ReLU, one ReLU module called twice, pooling, a flatten in the root."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.Sequential(ResidualBlock(), ResidualBlock())
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.blocks(self.pool(self.act(self.stem(x))))
        return self.head(self.gap(x).flatten(1))


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        x = x.to(torch.float32)
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Norms(nn.Module):
    """A leaf module of many operators, a Linear called twice, operators of the root."""

    def __init__(self):
        super().__init__()
        self.norm = RMSNorm(16)
        self.fc = nn.Linear(16, 16)

    def forward(self, x):
        gate = functional.silu(self.fc(self.norm(x)))
        return self.fc(gate * x)


class SplitProjection(nn.Module):
    """A leaf module that returns three views of its result."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(24, 8))

    def forward(self, x):
        return functional.linear(x, self.weight).chunk(3, dim=-1)


class Pair(nn.Module):
    """A leaf module that returns a tensor and a view of it."""

    def forward(self, x):
        y = x + 1
        return y, y.flatten()


class Views(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, x):
        y, flat = self.pair(x)
        return y.exp(), flat.sin()


class Movement(nn.Module):
    """Views on the way in and out, several outputs, an attention mask, a table of constants."""

    def __init__(self):
        super().__init__()
        self.qkv = SplitProjection()
        self.register_buffer("table", torch.rand(5, 8))

    def forward(self, x, ids, mask):
        q, k, v = self.qkv(x.flatten(2).transpose(1, 1))
        angles = self.table.cos()[: x.shape[1]] + torch.arange(x.shape[1])[:, None]
        scores = (q * angles) @ k.transpose(1, 2)
        scores = scores.masked_fill(mask[:, None, :], -1e4) + torch.zeros_like(scores)
        looked_up = self.table[ids]
        return (scores.softmax(-1) @ v + looked_up).reshape(x.shape[0], -1)


class Shapes(nn.Module):
    """A layer of which only the shape is used, and one whose result nobody uses."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(8, 6)
        self.unused = nn.Linear(8, 8)
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        self.unused(x)
        like = torch.ones_like(self.wide(x))
        return self.fc(x) * like.sum()


class Fusions(nn.Module):
    """Operators that may be fused with their ReLU, and others that may not."""

    def __init__(self):
        super().__init__()
        self.alone = nn.Linear(8, 8)
        self.behind_dropout = nn.Linear(8, 8)
        self.read_twice = nn.Linear(8, 8)
        self.returned = nn.Linear(8, 8)
        self.viewed = nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        a = functional.relu(self.alone(x))
        b = functional.relu(self.dropout(self.behind_dropout(a)))
        c = self.read_twice(b)
        d = self.returned(functional.relu(c) + c)
        return functional.relu(self.viewed(functional.relu(d)).t()), d


class Attention(nn.Module):
    """torch's own attention never calls its child out_proj."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attn(x, x, x, need_weights=False)[0]


class Filled(nn.Module):
    """A result put together in place, from zeros."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.out = nn.Linear(4, 4)

    def forward(self, x):
        y = torch.zeros(x.shape[0], 4)
        y[:, :2] = self.fc(x)
        y[:, 2:].add_(1)
        return self.out(y)


class Add(nn.Module):
    def forward(self, a, b):
        return a + b


class Clash(nn.Module):
    """An operator's node gets the name of a module."""

    def __init__(self):
        super().__init__()
        self.add = Add()

    def forward(self, x):
        return self.add(x + 1, x)


class Casts(nn.Module):
    """Integers and booleans that become floating point."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, ids, keep):
        return self.fc(ids.to(torch.float32)) * keep.to(torch.float32)


class Recurrent(nn.Module):
    """The second and third results of an LSTM only."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x):
        _, (hidden, cell) = self.lstm(x)
        return hidden + cell


def bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    return BertModel(config)


def save(folder, name, model, *inputs):
    program = torch.export.export(model.eval(), inputs, strict=False)
    torch.export.save(program, folder / f"{name}.pt2")


def main(folder):
    torch.manual_seed(0)
    save(folder, "seed", Seed(), torch.rand(6, 3, 32, 64))
    save(folder, "residual", Residual(), torch.rand(2, 3, 16, 16))
    save(folder, "norms", Norms(), torch.rand(2, 16))
    ids, mask = torch.randint(0, 5, (2, 5)), torch.zeros(2, 5, dtype=torch.bool)
    save(folder, "movement", Movement(), torch.rand(2, 5, 2, 4), ids, mask)
    save(folder, "views", Views(), torch.rand(2, 4))
    save(folder, "shapes", Shapes(), torch.rand(2, 8))
    save(folder, "fusions", Fusions(), torch.rand(2, 8))
    save(folder, "attention", Attention(), torch.rand(2, 3, 8))
    save(folder, "filled", Filled(), torch.rand(2, 4))
    save(folder, "clash", Clash(), torch.rand(2, 4))
    save(folder, "casts", Casts(), torch.randint(0, 5, (2, 4)), torch.ones(2, 4, dtype=torch.bool))
    save(folder, "recurrent", Recurrent(), torch.rand(2, 3, 4))
    if importlib.util.find_spec("transformers"):
        tokens = torch.randint(0, 50, (2, 8))
        save(folder, "bert", bert(), tokens, torch.ones_like(tokens))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
