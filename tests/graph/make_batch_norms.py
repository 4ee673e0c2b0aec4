"""Exports models with batch norms to FOLDER/<name>.pt2, each with <name>.safetensors: "input.0", "output.0".

usage: make_batch_norms.py FOLDER
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

AUTO = torch.export.Dim.AUTO


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layer1 = nn.Sequential(Residual(8, 8, 1), Residual(8, 12, 2))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.layer1(self.stem(x)).mean((2, 3)))


def mobilenet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, bias=False),
        nn.BatchNorm2d(8, eps=1e-3),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, groups=8, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 6, 1, bias=False),
        nn.BatchNorm2d(6, affine=False),
    )


def transposed():
    return nn.Sequential(
        nn.ConvTranspose2d(4, 6, 3, 2, groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 2, bias=False),
        nn.BatchNorm2d(4),
    )


def linear():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4, bias=False), nn.BatchNorm1d(4)
    )


def one_dimension():
    return nn.Sequential(nn.Conv1d(3, 5, 3), nn.BatchNorm1d(5), nn.ReLU(), nn.Conv1d(5, 4, 2, bias=False))


def three_dimensions():
    return nn.Sequential(
        nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4), nn.ConvTranspose3d(4, 2, 2), nn.BatchNorm3d(2)
    )


def half():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(torch.bfloat16)


class Kept(nn.Module):
    """Every reason not to fold, and one batch norm that is folded in their midst."""

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.two_readers = nn.BatchNorm2d(4)
        self.after_add = nn.BatchNorm2d(4)
        self.shared = nn.Conv2d(4, 4, 1)
        self.after_shared = nn.BatchNorm2d(4)
        self.lonely = nn.Conv2d(4, 4, 1)
        self.no_statistics = nn.BatchNorm2d(4, track_running_stats=False)
        self.used_twice = nn.BatchNorm2d(4)
        self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.frozen = nn.Conv2d(4, 4, 1)
        self.in_no_grad = nn.BatchNorm2d(4)
        self.last_conv = nn.Conv2d(8, 4, 1, bias=False)
        self.folded = nn.BatchNorm2d(4)
        self.after_cat = nn.BatchNorm2d(8)
        self.tokens = nn.Linear(6, 6)
        self.over_tokens = nn.BatchNorm1d(4)

    def forward(self, x):
        x = self.first(x)
        y = self.conv(x)
        y = self.after_add(self.two_readers(y) + y)
        y = self.shared(self.after_shared(self.shared(y)))
        y = self.no_statistics(self.lonely(y))
        y = self.used_twice(self.left(y)) * self.used_twice(self.right(y))
        with torch.no_grad():
            z = self.in_no_grad(self.frozen(x))
        y = self.after_cat(torch.cat([y, z], 1))
        y = self.folded(self.last_conv(y)).relu_()
        return self.over_tokens(self.tokens(y.mean(2)))


def settle(model, seed):
    """Gives the norms statistics like those after training, far from 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        for tensor, low, high in (
            (module.running_mean, -1, 1),
            (module.running_var, 0.3, 3),
            (module.weight, 0.5, 2),
            (module.bias, -1, 1),
        ):
            if tensor is not None:
                tensor.data.uniform_(low, high, generator=generator)
    return model.eval()


def main(folder):
    torch.set_num_threads(1)
    cases = {
        "resnet": (ResNet, (2, 3, 16, 16)),
        "mobilenet": (mobilenet, (2, 3, 16, 16)),
        "transposed": (transposed, (2, 4, 5, 5)),
        "linear": (linear, (3, 6)),
        "one_dimension": (one_dimension, (2, 3, 9)),
        "three_dimensions": (three_dimensions, (2, 2, 4, 4, 4)),
        "half": (half, (2, 3, 6, 6)),
        "kept": (Kept, (2, 4, 6, 6)),
    }
    for seed, (name, (make, shape)) in enumerate(cases.items()):
        torch.manual_seed(seed)
        model = settle(make(), seed)
        x = torch.randn(shape, dtype=next(model.parameters()).dtype)
        dims = dict.fromkeys(range(x.dim()), AUTO) if name == "resnet" else {0: AUTO}
        program = torch.export.export(model, (x,), dynamic_shapes=(dims,))
        with torch.no_grad():
            output = model(x)
        torch.export.save(program, folder / f"{name}.pt2")
        save_file({"input.0": x, "output.0": output}, folder / f"{name}.safetensors")


main(Path(sys.argv[1]))
