"""Exports small models to FOLDER/<name>.pt2, each with <name>.safetensors: inputs ("input.0", tensors only),
outputs ("output.0", flat) and the gradient of mean(outputs ** 2) for every parameter ("grad.<name>").

usage: make_programs.py FOLDER
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

AUTO = torch.export.Dim.AUTO


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return self.body(x)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8, padding="same")
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 5)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        x = self.relu(self.bn(self.conv(x)))
        x = x + self.relu(self.depthwise(x))
        x = F.max_pool2d(x, 2)
        return self.head(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm = nn.LayerNorm(16)

    def forward(self, x, mask=None):
        q, k, v = (t.view(t.shape[0], t.shape[1], 2, 8).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        y = y.transpose(1, 2).flatten(2)
        return self.norm(x + y + self.attend(x, x, x, need_weights=False)[0])


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 7, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(14, 3)

    def forward(self, x):
        y, (h, _) = self.lstm(x)
        z, _ = self.gru(y)
        return z, h


class InPlace(nn.Module):
    """Writes into a view, into the caller's tensor, into its own result and into a buffer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 6)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        x += 1
        y = self.fc(x)
        first = y[:, 0]
        y[:, 0] = 0
        y[:, 1:3] += 2
        z = y.clone()
        z.mul_(2).add_(first.unsqueeze(1))
        self.count += 1
        F.relu(z, inplace=True)
        w = y * 3
        same = F.dropout(w, 0.5, training=False)
        same += self.count
        return y, z, x * 2, w


class Products(nn.Module):
    """A product that the next operator overwrites, a weight applied twice, and one whose norm is read too."""

    def __init__(self):
        super().__init__()
        self.up = nn.Linear(6, 8, bias=False)
        self.down = nn.Linear(8, 6, bias=False)
        self.twice = nn.Linear(6, 6, bias=False)
        self.scaled = nn.Linear(6, 4, bias=False)

    def forward(self, x):
        y = self.down(F.leaky_relu(self.up(x), 0.1, inplace=True))
        z = self.scaled(self.twice(torch.tanh(self.twice(y))))
        return z / (1 + self.scaled.weight.square().sum(dim=1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.mix(self.embed(ids))))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Mlp()
        self.back = nn.Linear(4, 6)

    def forward(self, x):
        return self.block(self.back(self.block(x)))


class DictInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.scale = torch.full((4,), 0.5)

    def forward(self, batch, flag=True, power=2, mode="tanh"):
        y = self.fc(batch["left"]) * self.scale
        if flag:
            y = y**power
        with torch.no_grad():
            mask = (batch["right"] > 0).float()
            size = y.shape[0]
        y = getattr(torch, mode)(y) * mask + size
        return {"y": y, "parts": y.split([1, 3], dim=1), "nothing": None, "rows": y.shape[0]}


class Shapes(nn.Module):
    """Arithmetic on symbolic sizes, and one size tied to another."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, other):
        n, t = x.shape[0], x.shape[1]
        y = self.fc(x).reshape(n * t, 4)
        half = torch.arange(n * t // 2 + 1, dtype=x.dtype) / max(n, t)
        low = torch.full((t - 1, n % 3 + 1), float(n) ** 0.5)
        pairs = torch.cat([x, other], dim=1).view(n, 2 * t, 4)
        steps = torch.tensor([1.0, float("inf")])
        halves = x.long() * 0.5  # float32: a Python number does not promote to its own width
        return y + half.sum() + steps[0], low, pairs[:, ::2], torch.where(x > n, x, -t), halves


def llama(attention="sdpa"):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        use_cache=False,
        tie_word_embeddings=True,
        attn_implementation=attention,
    )
    return LlamaForCausalLM(config)


def bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
    )
    return BertModel(config)


def programs():
    """name -> (model, args, kwargs, dynamic shapes or None, strict)"""
    ids = torch.randint(0, 64, (3, 12))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    batch = {"left": torch.randn(3, 4), "right": torch.randn(3, 4)}
    rows = {0: AUTO}
    return {
        "linear": (nn.Linear(6, 4), (torch.randn(3, 6),), {}, None, False),
        "mlp": (Mlp(), (torch.randn(5, 6),), {}, None, False),
        "mlp_dynamic": (
            Mlp(),
            (torch.randn(5, 6),),
            {},
            ({0: torch.export.Dim("batch", min=3, max=16)},),
            False,
        ),
        "mlp_strict": (Mlp(), (torch.randn(5, 6),), {}, (rows,), True),
        "cnn": (Cnn(), (torch.randn(2, 3, 12, 12),), {}, (rows,), False),
        "attention": (Attention(), (torch.randn(2, 5, 16),), {}, None, False),
        "lstm": (Lstm(), (torch.randn(2, 5, 5),), {}, None, False),
        "in_place": (InPlace(), (torch.randn(3, 6),), {}, None, False),
        "tied": (Tied(), (torch.randint(0, 11, (2, 5)),), {}, (rows,), False),
        "products": (Products(), (torch.randn(3, 6),), {}, None, False),
        "twice": (Twice(), (torch.randn(3, 6),), {}, None, False),
        "twice_strict": (Twice(), (torch.randn(3, 6),), {}, None, True),
        "dict_inputs": (
            DictInputs(),
            (batch,),
            {"flag": True, "power": 2, "mode": "tanh"},
            {"batch": {"left": rows, "right": rows}, "flag": None, "power": None, "mode": None},
            False,
        ),
        "shapes": (
            Shapes(),
            (torch.randn(3, 5, 4), torch.randn(3, 5, 4)),
            {},
            ({0: AUTO, 1: AUTO}, {0: AUTO, 1: AUTO}),
            False,
        ),
        "llama": (llama(), (), {"input_ids": ids}, None, False),
        "llama_eager": (llama("eager"), (), {"input_ids": ids}, None, False),
        "llama_dynamic": (
            llama(),
            (),
            {"input_ids": ids, "attention_mask": mask},
            {"input_ids": {0: AUTO, 1: AUTO}, "attention_mask": {0: AUTO, 1: AUTO}},
            False,
        ),
        "bert": (bert(), (), {"input_ids": ids, "attention_mask": mask}, None, False),
    }


def flat_outputs(result):
    """Tensors and sizes in the program's order; None where a file cannot hold the output."""
    if hasattr(result, "to_tuple"):
        result = dict(result)
    leaves = pytree.tree_leaves(result, is_leaf=lambda leaf: leaf is None)
    return [torch.tensor(leaf) if isinstance(leaf, int) else leaf for leaf in leaves]


def record(model, args, kwargs):
    """The model's results, by the names of the .safetensors file."""
    fed = pytree.tree_map(lambda leaf: leaf.clone() if torch.is_tensor(leaf) else leaf, (args, kwargs))
    inputs = pytree.tree_leaves((args, kwargs))
    outputs = flat_outputs(model(*fed[0], **fed[1]))
    tensors = {f"input.{i}": leaf for i, leaf in enumerate(inputs) if torch.is_tensor(leaf)}
    tensors |= {f"output.{i}": leaf.detach() for i, leaf in enumerate(outputs) if leaf is not None}
    loss = sum(leaf.pow(3).mean() for leaf in outputs if leaf is not None and leaf.requires_grad)
    loss.backward()
    tensors |= {f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def export(model, args, kwargs, dynamic_shapes, strict):
    return torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=strict)


def main(folder):
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (model, args, kwargs, dynamic_shapes, strict) in programs().items():
        model.eval()
        # Saved first: running the model changes its buffers, which the program shares.
        torch.export.save(export(model, args, kwargs, dynamic_shapes, strict), folder / f"{name}.pt2")
        save_file(record(model, args, kwargs), folder / f"{name}.safetensors")
    training = Cnn().train()
    torch.export.save(
        export(training, (torch.randn(2, 3, 12, 12),), {}, None, False), folder / "training.pt2"
    )


main(Path(sys.argv[1]))
