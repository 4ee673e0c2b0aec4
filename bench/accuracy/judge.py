"""Judges weights on the held-out rows, against the model that they came from.

    python judge.py MODEL KIND LAYERS WEIGHTS ROWS DEVICE

MODEL: a folder of a KIND in kinds.KINDS, in fp32. LAYERS: a glob over the paths of those that were quantized.
WEIGHTS: .safetensors with their weights by name. ROWS: .safetensors with token ids [rows, tokens] of each
text, or with images [photos, crops, 3, side, side]. Prints JSON: for each text the scores of its kind, means
over its rows, with the standard errors of the rows' means: tokens of one row depend on each other, and so do
crops of one photo.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from kinds import KINDS, Kind
from safetensors.torch import load_file
from task import layers_of, load_model
from torch import Tensor


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


def main() -> None:
    folder, name_of_kind, only, weights, file, device = sys.argv[1:]
    kind = KINDS[name_of_kind]
    model = load_model(folder, name_of_kind).to(device)
    texts = load_file(file, device)
    exact = {name: kind.outputs(model, rows) for name, rows in texts.items()}
    new, layers = load_file(weights), {f"{path}.weight" for path in layers_of(model, name_of_kind, only)}
    assert new.keys() == layers, f"{weights}: has {len(new)} weights, expected those of {len(layers)} layers"
    model.load_state_dict(new, strict=False)
    found = {
        name: summarize(kind.compare(model, rows, exact[name], kind.outputs(model, rows)), kind)
        for name, rows in texts.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
