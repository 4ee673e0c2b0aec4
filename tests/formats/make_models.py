"""Exports the small models of these tests: make_models.py FOLDER."""

import pathlib
import sys

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.relu1 = nn.ReLU()
        self.dropout1 = nn.Dropout(0.1)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(self.dropout1(self.relu1(self.fc1(x))))


class ModelWithConsecutiveLinearBlocks(nn.Module):
    """The model of AIMET's sample encodings."""

    def __init__(self):
        super().__init__()
        self.linear_blocks = nn.ModuleList(Block(64, 32) for _ in range(5))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        for block in self.linear_blocks:
            x = block(x)
        return self.softmax(x)


class Tied(nn.Module):
    """Tied weights, an unused parameter, a buffer that no state_dict holds."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(20, 16)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.emb.weight
        self.fc = nn.Linear(16, 16)
        self.unused = nn.Parameter(torch.ones(3))
        self.register_buffer("passing", torch.arange(16.0), persistent=False)
        self.register_buffer(
            "flags", torch.tensor([True, False, True])
        )  # 3 bytes, so that the next tensor is not aligned
        self.register_buffer("kept", torch.rand(16))

    def forward(self, ids):
        return self.head(torch.relu(self.fc(self.emb(ids))) * self.kept + self.passing)


class Residual(nn.Module):
    """Convolutions, batch norm, one ReLU module called twice, two outputs."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.relu(self.bn(self.conv1(x)))
        z = self.relu(self.conv2(y) + y)
        return z, z.mean(dim=(2, 3))


class Masked(nn.Module):
    """Minus infinity inside: no activation grid holds it."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 16)

    def forward(self, x):
        scores = self.fc(x)
        return torch.softmax(scores.masked_fill(scores < 0, -torch.inf), dim=-1)


class Sharing(nn.Module):
    """The second of two blocks multiplies by a weight of the first, and by its transpose made before both."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(16, 16)
            self.fc2 = nn.Linear(16, 16)

        def forward(self, x, weight=None, transposed=None):
            h = torch.relu(self.fc1(x))
            return self.fc2(h) if weight is None else self.fc2(h @ weight) + h @ transposed

    def __init__(self):
        super().__init__()
        self.a = self.Block()
        self.b = self.Block()

    def forward(self, x):
        transposed = self.a.fc1.weight.t()
        return self.b(self.a(x), self.a.fc1.weight, transposed)


class Sequence(nn.Module):
    """A convolution over time between Linears, channels last outside it; a layer of one vector beside it."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 16)
        self.conv = nn.Conv1d(16, 16, 3, padding=1)
        self.fc2 = nn.Linear(16, 16)
        self.query = nn.Parameter(torch.randn(16))
        self.fc3 = nn.Linear(16, 16)

    def forward(self, x):
        y = self.conv(self.fc1(x).transpose(1, 2)).transpose(1, 2)
        return self.fc2(torch.relu(y)) + self.fc3(self.query)


class Sampled(nn.Sequential):
    """The model of the files in aimet/."""

    def __init__(self):
        super().__init__(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))


class Shapes(nn.Module):
    """Weights of many layouts: convolution, transposed ones, [in, out], a stack, a single channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.product = nn.Parameter(torch.randn(8, 16))
        self.bias = nn.Parameter(torch.randn(16))
        self.stack = nn.Parameter(torch.randn(2, 16, 8))
        self.one = nn.Linear(8, 1)

    def forward(self, x):
        y = self.up(torch.relu(self.conv(x))).mean(dim=(2, 3))
        y = torch.relu(torch.addmm(self.bias, y, self.product))
        z = torch.matmul(y.unsqueeze(0).expand(2, -1, -1), self.stack)
        return self.one(z.sum(0))


class Headed(nn.Module):
    """A head whose outputs are larger than its inputs, as a language model's."""

    def __init__(self):
        super().__init__()
        self.block = Block(16, 32)
        self.head = nn.Linear(16, 100, bias=False)

    def forward(self, x):
        return self.head(self.block(x))


class Experts(nn.Module):
    """A mixture of three experts, then one of two that see all rows.

    Of the first one's rows, in order, three are for the first expert, none for the second, seven for the
    third, and the others for none.
    """

    class Sorted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 16, 16) / 4)
            self.register_buffer("ends", torch.tensor([3, 3, 10], dtype=torch.int32))

        def forward(self, x):
            return x + torch._grouped_mm(x, self.weight, offs=self.ends)

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 16, 16) / 4)

        def forward(self, x):
            return x + torch.bmm(torch.stack([x, 3 * x]), self.weight).sum(0)

    def __init__(self):
        super().__init__()
        self.sorted = self.Sorted()
        self.dense = self.Dense()

    def forward(self, x):
        return self.dense(self.sorted(x))


class Heads(nn.Module):
    """A weight by heads, which reads its input as one matrix."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, 16) / 4)
        self.fc = nn.Linear(16, 16)

    def forward(self, x):
        return self.fc(x + torch.nn.functional.linear(x, self.weight.reshape(16, 16)))


def save(folder, name, model, example):
    dynamic = [dict.fromkeys(range(example.dim()), torch.export.Dim.AUTO)]
    program = torch.export.export(model.eval(), (example,), dynamic_shapes=dynamic)
    torch.export.save(program, folder / f"{name}.pt2")


def main(folder):
    torch.manual_seed(0)
    save(folder, "seed", ModelWithConsecutiveLinearBlocks(), torch.rand(6, 3, 32, 64))
    save(folder, "tied", Tied(), torch.randint(0, 20, (2, 5)))
    save(folder, "masked", Masked(), torch.rand(4, 16))
    save(folder, "sharing", Sharing(), torch.rand(4, 16))
    save(folder, "sequence", Sequence(), torch.rand(2, 6, 16))
    save(folder, "sampled", Sampled(), torch.rand(4, 8))
    save(folder, "headed", Headed(), torch.rand(4, 16))
    save(folder, "shapes", Shapes(), torch.rand(3, 8, 4, 4))
    save(folder, "heads", Heads(), torch.rand(3, 5, 16))
    save(folder, "experts", Experts().bfloat16(), torch.rand(12, 16).bfloat16())
    residual = Residual()
    residual(torch.randn(8, 3, 8, 8))  # running statistics other than 0 and 1
    save(folder, "residual", residual, torch.rand(2, 3, 8, 8))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
