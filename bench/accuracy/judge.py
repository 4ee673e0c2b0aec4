"""Judges weights on the held-out rows, against the model that they came from.

    python judge.py MODEL KIND LAYERS ACTIVATION_BITS WEIGHTS ROWS DEVICE

MODEL: a folder of a KIND in kinds.KINDS, in fp32. LAYERS: a glob over the paths of those that were quantized.
ACTIVATION_BITS: of what these layers read; 0: full precision. WEIGHTS: .safetensors with their weights by
name, and ranges if there are ACTIVATION_BITS, as Method.give writes them. ROWS: .safetensors with token ids
[rows, tokens] of each text, or with images [photos, crops, 3, side, side], or with what a kind's outputs()
takes. Prints JSON: for each text the scores of its kind, means over its rows, with the standard errors of the
rows' means: tokens of one row depend on each other, and so do crops of one photo.
"""

from __future__ import annotations

import json
import math
import sys
from functools import partial
from typing import Any

import torch
from kinds import KINDS, Kind
from safetensors.torch import load_file
from task import INPUT, layers_of, load_model
from torch import Tensor, nn


def summarize(rows: dict[str, Tensor], kind: Kind) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with_error = {score.name for score in kind.scores}
    for name, of_rows in rows.items():
        values = of_rows.double()
        if name in kind.perplexities:
            found[kind.perplexities[name]] = values.mean().exp().item()
            continue
        found[name] = values.mean().item()
        if name in with_error:
            found[f"{name}_error"] = values.std().item() / math.sqrt(len(values))
        if kind.paired:
            found[f"{name}_rows"] = values.tolist()
    return found


def quantize_inputs(layers: dict[str, nn.Module], ranges: dict[str, Tensor], bits: int) -> None:
    """From now on each layer reads its input rounded to its range."""

    def rounded(scale: float, zero: int, _: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (torch.fake_quantize_per_tensor_affine(inputs[0], scale, zero, 0, 2**bits - 1),)

    for path, layer in layers.items():
        scale, zero = ranges[path].tolist()
        layer.register_forward_pre_hook(partial(rounded, scale, int(zero)))


def main() -> None:
    folder, name_of_kind, only, activation_bits, weights, file, device = sys.argv[1:]
    kind = KINDS[name_of_kind]
    model = load_model(folder, name_of_kind).to(device)
    texts = load_file(file, device)
    exact = {name: kind.outputs(model, rows) for name, rows in texts.items()}
    layers, new = layers_of(model, name_of_kind, only), load_file(weights)
    if int(activation_bits):
        quantize_inputs(layers, {path: new.pop(f"{path}{INPUT}") for path in layers}, int(activation_bits))
    wanted = {f"{path}.weight" for path in layers}
    assert new.keys() == wanted, f"{weights}: has {len(new)} weights, expected those of {len(layers)} layers"
    model.load_state_dict(new, strict=False)
    found = {
        name: summarize(kind.compare(model, rows, exact[name], kind.outputs(model, rows)), kind)
        for name, rows in texts.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
