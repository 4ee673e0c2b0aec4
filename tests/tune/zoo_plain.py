"""Small models written by hand, one for each way to compose modules."""

import torch
import torch.nn.functional as F
from torch import nn


# The seed's model: blocks one after the other.
class ModelWithLinears(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.drop, self.fc2 = nn.Linear(64, 32), nn.Dropout(0.3), nn.Linear(32, 64)

    def forward(self, x):
        return F.softmax(self.fc2(self.drop(F.relu(self.fc1(x)))), dim=-1)


class ModelWithConsecutiveLinearBlocks(nn.Module):
    def __init__(self, count=3):
        super().__init__()
        self.blocks = nn.ModuleList([ModelWithLinears() for _ in range(count)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return F.softmax(x, dim=1)


class BlockA(ModelWithLinears):
    pass


class BlockB(ModelWithLinears):
    pass


class Hetero(nn.Module):
    """A chain of blocks of different classes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.o = BlockA(), BlockB(), nn.Linear(64, 3)

    def forward(self, x):
        return self.o(self.b(self.a(x)))


class SiameseDeep(nn.Module):
    """A module called twice."""

    def __init__(self):
        super().__init__()
        self.enc, self.head = ModelWithConsecutiveLinearBlocks(2), nn.Linear(64, 1)

    def forward(self, a, b):
        return self.head((self.enc(a) - self.enc(b)).abs())


class FunctionalRoot(nn.Module):
    """No module inside: the root applies all operators itself."""

    def __init__(self):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.randn(64, 32)), nn.Parameter(torch.randn(32, 64))

    def forward(self, x):
        return x + F.relu(x @ self.w1) @ self.w2


class MLP(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(size, hidden), nn.Linear(hidden, size)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Trunk(nn.Module):
    """A chain with two heads on its end."""

    def __init__(self):
        super().__init__()
        self.body, self.box, self.cls = ModelWithConsecutiveLinearBlocks(3), MLP(64, 32), MLP(64, 32)

    def forward(self, x):
        h = self.body(x)
        return self.box(h), self.cls(h)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.t, self.n2, self.c = nn.LayerNorm(16), MLP(32, 8), nn.LayerNorm(16), MLP(16, 32)

    def forward(self, x):
        x = x + self.t(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.c(self.n2(x))


class MixerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.h = nn.Linear(8, 16), nn.Linear(16, 4)
        self.blocks = nn.Sequential(*[Mixer() for _ in range(3)])

    def forward(self, x):
        return self.h(self.blocks(self.e(x)).mean(1))


class MoE(nn.Module):
    """Experts side by side, not a run."""

    def __init__(self, count=4):
        super().__init__()
        self.gate = nn.Linear(16, count)
        self.experts = nn.ModuleList([MLP(16, 32) for _ in range(count)])

    def forward(self, x):
        weights = self.gate(x).softmax(-1)
        return sum(weights[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts))


class MoELayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.mix, self.n2, self.moe = nn.LayerNorm(16), MLP(16, 16), nn.LayerNorm(16), MoE()

    def forward(self, x):
        x = x + self.mix(self.n1(x))
        return x + self.moe(self.n2(x))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.l = nn.Embedding(128, 16), nn.LSTM(16, 32, 2, batch_first=True)
        self.o = nn.Linear(32, 128)

    def forward(self, x):
        return self.o(self.l(self.e(x))[0])


class GRUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Sequential(nn.Conv1d(8, 16, 3), nn.ReLU(), nn.Conv1d(16, 16, 3))
        self.g, self.o = nn.GRU(16, 16, 2, batch_first=True, bidirectional=True), nn.Linear(32, 5)

    def forward(self, x):
        return self.o(self.g(self.c(x).transpose(1, 2))[0])


# Convolutional networks.
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


# A diffusion model's U-Net: a time embedding for every block, attention over a context.
class ResBlock(nn.Module):
    def __init__(self, i, o, time):
        super().__init__()
        self.n1, self.c1 = nn.GroupNorm(4, i), nn.Conv2d(i, o, 3, 1, 1)
        self.t = nn.Linear(time, o)
        self.n2, self.c2 = nn.GroupNorm(4, o), nn.Conv2d(o, o, 3, 1, 1)
        self.sc = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, time):
        h = self.c1(F.silu(self.n1(x))) + self.t(F.silu(time))[:, :, None, None]
        return self.sc(x) + self.c2(F.silu(self.n2(h)))


class Attn(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.n, self.qkv, self.o = nn.GroupNorm(4, c), nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.n(x)).reshape(b, 3, c, h * w).transpose(2, 3).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.o(y.transpose(1, 2).reshape(b, c, h, w))


class Cross(nn.Module):
    def __init__(self, c, context):
        super().__init__()
        self.n, self.q = nn.LayerNorm(c), nn.Linear(c, c)
        self.kv, self.o = nn.Linear(context, 2 * c), nn.Linear(c, c)

    def forward(self, x, context):
        b, c, h, w = x.shape
        y = x.flatten(2).transpose(1, 2)
        k, v = self.kv(context).chunk(2, -1)
        y = y + self.o(F.scaled_dot_product_attention(self.q(self.n(y)), k, v))
        return y.transpose(1, 2).reshape(b, c, h, w)


class DownB(nn.Module):
    def __init__(self, i, o, time, attention):
        super().__init__()
        self.r, self.a = ResBlock(i, o, time), Attn(o) if attention else nn.Identity()
        self.x, self.d = Cross(o, 12), nn.Conv2d(o, o, 3, 2, 1)

    def forward(self, x, time, context):
        x = self.x(self.a(self.r(x, time)), context)
        return self.d(x), x


class UpB(nn.Module):
    def __init__(self, i, skip, o, time):
        super().__init__()
        self.u, self.r = nn.Conv2d(i, i, 3, 1, 1), ResBlock(i + skip, o, time)

    def forward(self, x, skip, time):
        x = self.u(F.interpolate(x, scale_factor=2.0))
        return self.r(torch.cat([x, skip], 1), time)


class Diffusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.t1, self.t2, self.ci = nn.Linear(16, 32), nn.Linear(32, 32), nn.Conv2d(3, 8, 3, 1, 1)
        self.d1, self.d2 = DownB(8, 8, 32, False), DownB(8, 16, 32, True)
        self.m1, self.ma, self.m2 = ResBlock(16, 16, 32), Attn(16), ResBlock(16, 16, 32)
        self.u2, self.u1 = UpB(16, 16, 16, 32), UpB(16, 8, 8, 32)
        self.no, self.co = nn.GroupNorm(4, 8), nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, x, t, ctx):
        angles = t[:, None] * torch.exp(-torch.arange(8) / 8.0)[None]
        time = self.t2(F.silu(self.t1(torch.cat([angles.sin(), angles.cos()], -1))))
        h, skip1 = self.d1(self.ci(x), time, ctx)
        h, skip2 = self.d2(h, time, ctx)
        h = self.m2(self.ma(self.m1(h, time)), time)
        h = self.u1(self.u2(h, skip2, time), skip1, time)
        return self.co(F.silu(self.no(h)))


IMAGES = torch.rand(2, 3, 32, 32)
ROWS = torch.rand(2, 3, 32, 64)
TOKENS = torch.randint(0, 128, (2, 16))


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


# name: (model, inputs...)
PLAIN = {
    "seed_toy": lambda: (ModelWithConsecutiveLinearBlocks(), ROWS),
    "seed_toy_one": lambda: (ModelWithConsecutiveLinearBlocks(1), ROWS),
    "seed_toy_dynamic": lambda: (ModelWithConsecutiveLinearBlocks(), ROWS),
    "hetero_chain": lambda: (Hetero(), ROWS),
    "siamese_deep": lambda: (SiameseDeep(), ROWS, ROWS + 1),
    "functional_root": lambda: (FunctionalRoot(), ROWS),
    "trunk_two_heads": lambda: (Trunk(), ROWS),
    "mlp_mixer": lambda: (MixerNet(), torch.rand(2, 32, 8)),
    "moe_modulelist": lambda: (
        nn.Sequential(nn.Linear(8, 16), *[MoELayer() for _ in range(3)], nn.Linear(16, 4)),
        torch.rand(2, 5, 8),
    ),
    "lstm": lambda: (Lstm(), TOKENS),
    "crnn": lambda: (GRUNet(), torch.rand(2, 8, 20)),
    "resnet_bottleneck": lambda: (ResNet((2, 1, 2)), IMAGES),
    "resnet_bottleneck_depth1": lambda: (ResNet((1, 1, 1)), IMAGES),
    "efficientnet_tv": lambda: (mobile_net(), IMAGES),
    "densenet_4blocks": lambda: (dense_net(), IMAGES),
    "tcn_weightnorm": lambda: (nn.Sequential(TCN(4, 8, 1), TCN(8, 8, 2), TCN(8, 8, 4)), torch.rand(2, 4, 20)),
    "unet": lambda: (UNet(), IMAGES),
    "unet_updown": lambda: (UNetUpDown(), IMAGES),
    "diffusion": lambda: (Diffusion(), IMAGES, torch.rand(2), torch.rand(2, 5, 12)),
    "plain_cnn": lambda: (plain_cnn(), IMAGES),
}
