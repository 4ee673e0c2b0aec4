"""Small convolutional networks written by hand, one for each way to compose modules."""

import torch
import torch.nn.functional as F
from torch import nn


def plain_cnn():
    convolutions = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *convolutions,
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class Bottleneck(nn.Module):
    def __init__(self, i, width, stride):
        super().__init__()
        o = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(i, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, o, 1, bias=False), nn.BatchNorm2d(o)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, depths):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.stages, width = [], 8
        for index, depth in enumerate(depths):
            blocks = []
            for position in range(depth):
                blocks.append(Bottleneck(width, 8, 2 if index > 0 and position == 0 else 1))
                width = 32
            self.stages.append(f"layer{index + 1}")
            self.add_module(self.stages[-1], nn.Sequential(*blocks))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.fc(x.mean((2, 3)))


class CNA(nn.Sequential):
    def __init__(self, i, o, size=3, stride=1, groups=1):
        convolution = nn.Conv2d(i, o, size, stride, size // 2, groups=groups, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(o), nn.SiLU())


class SE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.avgpool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 4, 1), nn.Conv2d(4, c, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.fc2(F.silu(self.fc1(self.avgpool(x)))))


class MBConv(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        project = nn.Sequential(nn.Conv2d(4 * i, o, 1), nn.BatchNorm2d(o))
        self.block = nn.Sequential(CNA(i, 4 * i, 1), CNA(4 * i, 4 * i, 3, stride, 4 * i), SE(4 * i), project)
        self.is_residual = stride == 1 and i == o

    def forward(self, x):
        y = self.block(x)
        return y + x if self.is_residual else y


def mobile_net():
    features = nn.Sequential(
        CNA(3, 8),
        nn.Sequential(MBConv(8, 8, 1)),
        nn.Sequential(MBConv(8, 16, 2), MBConv(16, 16, 1)),
        nn.Sequential(MBConv(16, 24, 2)),
        CNA(24, 32, 1),
    )
    head = nn.Sequential(nn.Dropout(), nn.Linear(32, 5))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


class DenseLayer(nn.Module):
    def __init__(self, i, growth):
        super().__init__()
        self.n1, self.c1 = nn.BatchNorm2d(i), nn.Conv2d(i, 16, 1)
        self.n2, self.c2 = nn.BatchNorm2d(16), nn.Conv2d(16, growth, 3, 1, 1)

    def forward(self, features):
        return self.c2(F.relu(self.n2(self.c1(F.relu(self.n1(torch.cat(features, 1)))))))


class DenseBlock(nn.Module):
    def __init__(self, i, count):
        super().__init__()
        self.l = nn.ModuleList([DenseLayer(i + 4 * k, 4) for k in range(count)])

    def forward(self, x):
        features = [x]
        for layer in self.l:
            features.append(layer(features))
        return torch.cat(features, 1)


def dense_net():
    body = [m for _ in range(4) for m in (DenseBlock(8, 4), nn.Conv2d(24, 8, 1))]
    return nn.Sequential(nn.Conv2d(3, 8, 3), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


class TCN(nn.Module):
    """Weights that come out of a parametrization."""

    def __init__(self, i, o, dilation):
        super().__init__()
        norm, self.p = nn.utils.parametrizations.weight_norm, 2 * dilation
        self.c1 = norm(nn.Conv1d(i, o, 3, padding=self.p, dilation=dilation))
        self.c2 = norm(nn.Conv1d(o, o, 3, padding=self.p, dilation=dilation))
        self.d = nn.Conv1d(i, o, 1) if i != o else None

    def forward(self, x):
        h = F.relu(self.c1(x)[..., : -self.p])
        h = F.relu(self.c2(h)[..., : -self.p])
        return F.relu(h + (x if self.d is None else self.d(x)))


class DoubleConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        layers = []
        for width in (i, o):
            layers += [nn.Conv2d(width, o, 3, 1, 1), nn.BatchNorm2d(o), nn.ReLU(True)]
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1, self.d2, self.d3 = DoubleConv(3, 8), DoubleConv(8, 16), DoubleConv(16, 32)
        self.up2, self.u2 = nn.ConvTranspose2d(32, 16, 2, 2), DoubleConv(32, 16)
        self.up1, self.u1 = nn.ConvTranspose2d(16, 8, 2, 2), DoubleConv(16, 8)
        self.pool, self.out = nn.MaxPool2d(2), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(self.pool(a))
        c = self.d3(self.pool(b))
        y = self.u2(torch.cat([self.up2(c), b], 1))
        return self.out(self.u1(torch.cat([self.up1(y), a], 1)))


class Down(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.pool, self.conv = nn.MaxPool2d(2), DoubleConv(i, o)

    def forward(self, x):
        return self.conv(self.pool(x))


class Up(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.up, self.conv = nn.ConvTranspose2d(i, i // 2, 2, 2), DoubleConv(i, o)

    def forward(self, x, skip):
        return self.conv(torch.cat([skip, self.up(x)], 1))


class UNetUpDown(nn.Module):
    """Calls with two activations in: the rule goes into them."""

    def __init__(self):
        super().__init__()
        self.i, self.d1, self.d2 = DoubleConv(3, 8), Down(8, 16), Down(16, 32)
        self.u1, self.u2, self.o = Up(32, 16), Up(16, 8), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        a = self.i(x)
        b = self.d1(a)
        return self.o(self.u2(self.u1(self.d2(b), b), a))
