"""Small models written by hand, one for each way to compose modules, and the table of them all."""

import torch
import torch.nn.functional as F
from torch import nn
from zoo_convolutions import TCN, ResNet, UNet, UNetUpDown, dense_net, mobile_net, plain_cnn
from zoo_diffusion import Diffusion


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


IMAGES = torch.rand(2, 3, 32, 32)
ROWS = torch.rand(2, 3, 32, 64)
TOKENS = torch.randint(0, 128, (2, 16))


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
