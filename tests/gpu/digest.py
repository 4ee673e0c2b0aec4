"""`digest.py DEVICE KIND plain|deterministic`: trains twice in one process and prints the results as JSON.

A process of its own, because CUBLAS_WORKSPACE_CONFIG only counts before the first CUDA call.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys

import torch
from layer_kinds import Block, First
from torch import nn

if sys.argv[1] == "fake":
    import fake_device  # noqa: F401

import adascale
from adascale import _C


def make(kind: str, tokens: int) -> tuple[nn.Module, list]:
    torch.manual_seed(0)
    if kind == "convolutions":
        model = nn.Sequential(
            nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(32, 8, 4, 2, 1), nn.Conv2d(8, 8, 3)
        )
        return model.eval(), [torch.randn(4, 8, 24, 24) for _ in range(4)]
    if kind == "recurrent":
        first, second = (First(nn.LSTM(32, 32, batch_first=True)) for _ in range(2))
        return Block(first, second).eval(), [torch.randn(4, 24, 32) for _ in range(4)]
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=320, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=tokens, initializer_range=0.1,
    )  # fmt: skip
    data = [{"input_ids": torch.randint(0, 320, (2, tokens))} for _ in range(4)]
    return LlamaForCausalLM(config).eval(), data


def digest(sim: adascale.QuantizationSimModel, report: adascale.AdaScaleReport) -> str:
    sha = hashlib.sha256()
    for name, parts in sorted(_C.encodings_of(sim._core).items()):
        sha.update(name.encode())
        for part in parts:
            sha.update(part.reshape(-1).view(torch.uint8).numpy().tobytes())
    for block in report.blocks:
        sha.update(repr((block.name, block.loss_before, block.loss_after)).encode())
    return sha.hexdigest()


def main(device: str, kind: str, how: str) -> None:
    model, data = make(kind, tokens=32 if device == "fake" else 512)
    found = []
    for _ in range(2):
        moved = copy.deepcopy(model).to(device)
        sim = adascale.QuantizationSimModel(moved, data[0], default_param_bw=4, default_output_bw=32)
        report = adascale.apply_adascale(
            sim, data, num_iterations=20, progress=False, deterministic=how == "deterministic"
        )
        found.append(digest(sim, report))
    enabled = torch.are_deterministic_algorithms_enabled()
    print(json.dumps({"digests": found, "still deterministic": enabled, "seconds": report.seconds}))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except adascale.Error as error:
        sys.exit(f"refused: {error}")
