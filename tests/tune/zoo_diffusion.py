"""A diffusion model's U-Net: a time embedding for every block, attention over a context."""

import torch
import torch.nn.functional as F
from torch import nn


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
