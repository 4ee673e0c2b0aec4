"""Judges weights on the held-out rows, against the model that they came from.

    python judge.py MODEL KIND WEIGHTS ROWS DEVICE

MODEL: a folder of a KIND in task.KINDS, in fp32. WEIGHTS: .safetensors with new weights by name. ROWS:
.safetensors with token ids [rows, tokens] of each text, or with images [photos, crops, 3, side, side]. Prints
JSON: for each text the scores of its kind, means over its rows, with the standard errors of the rows' means:
tokens of one row depend on each other, and so do crops of one photo.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import torch
from safetensors.torch import load_file
from task import layers_of, load_model
from torch import Tensor

NEIGHBOURS = 10


@torch.no_grad()
def hidden_states(model: Any, rows: Tensor) -> list[Tensor]:
    """What the head reads of each row."""
    return [model.model(input_ids=row[None]).last_hidden_state[0] for row in rows]


@torch.no_grad()
def compare_texts(model: Any, rows: Tensor, exact: list[Tensor], got: list[Tensor]) -> dict[str, Tensor]:
    """Of each row: the KL divergence of the next token's distribution from the model's, over the whole
    vocabulary, the share of tokens with the same most probable successor, and the losses of both."""
    found = []
    for row, of_model, of_weights in zip(rows, exact, got, strict=True):
        p, q = (model.lm_head(states).float().log_softmax(-1) for states in (of_model, of_weights))
        kl = (p.exp() * (p - q)).sum(-1).mean()
        same_top = (p.argmax(-1) == q.argmax(-1)).float().mean()
        losses = [-scores[:-1].gather(1, row[1:, None]).mean() for scores in (q, p)]
        found.append(torch.stack([kl, same_top, *losses]))
    return dict(zip(("kl", "same_top", "loss", "model_loss"), torch.stack(found).T, strict=True))


@torch.no_grad()
def embeddings(model: Any, rows: Tensor) -> Tensor:
    """Of each row, the mean of its tokens' states, of unit length: [rows, width]."""
    states = [model(input_ids=part).last_hidden_state.mean(1) for part in rows.split(16)]
    return torch.nn.functional.normalize(torch.cat(states), dim=-1)


def compare_embeddings(model: Any, rows: Tensor, exact: Tensor, got: Tensor) -> dict[str, Tensor]:
    """Of each row: 1 - cosine of its embedding with the model's, and the share of its ten nearest
    neighbours among the text's rows that the new weights keep."""

    def neighbours(x: Tensor) -> Tensor:
        return (x @ x.T).fill_diagonal_(-2).topk(NEIGHBOURS).indices

    same = neighbours(exact)[:, :, None] == neighbours(got)[:, None, :]
    return {"distance": 1 - (exact * got).sum(-1), "recall": same.any(-1).float().mean(-1)}


@torch.no_grad()
def class_scores(model: Any, photos: Tensor) -> Tensor:
    """Of each photo's crops, before the softmax: [photos, crops, classes]."""
    return torch.stack([model(crops) for crops in photos])


def compare_classes(model: Any, photos: Tensor, exact: Tensor, got: Tensor) -> dict[str, Tensor]:
    """Of each photo, means over its crops: the KL divergence of the classes' distribution from the model's,
    the cosine of the scores before the softmax, and the share of crops with the same first class."""
    p, q = exact.log_softmax(-1), got.log_softmax(-1)
    of_crops = {
        "kl": (p.exp() * (p - q)).sum(-1),
        "cosine": torch.nn.functional.cosine_similarity(exact, got, dim=-1),
        "agreement": (exact.argmax(-1) == got.argmax(-1)).float(),
    }
    return {name: values.mean(-1) for name, values in of_crops.items()}


# What a model's outputs are, and how those of new weights are compared with them.
MEASURES: dict[str, tuple[Any, Any]] = {
    "decoder": (hidden_states, compare_texts),
    "encoder": (embeddings, compare_embeddings),
    "classifier": (class_scores, compare_classes),
}
# Their rows are few, and methods differ more on one than another: each row's scores are kept, to pair them.
PAIRED = "classifier"
# What is shown with its standard error, and losses, of which the exponentials are shown.
WITH_ERROR = ("kl", "distance", "recall", "cosine", "agreement")
LOSSES = {"loss": "perplexity", "model_loss": "model_perplexity"}


def summarize(rows: dict[str, Tensor], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, of_rows in rows.items():
        values = of_rows.double()
        if name in LOSSES:
            found[LOSSES[name]] = values.mean().exp().item()
            continue
        found[name] = values.mean().item()
        if name in WITH_ERROR:
            found[f"{name}_error"] = values.std().item() / math.sqrt(len(values))
        if kind == PAIRED:
            found[f"{name}_rows"] = values.tolist()
    return found


def main() -> None:
    folder, kind, weights, file, device = sys.argv[1:]
    outputs, compare = MEASURES[kind]
    model = load_model(folder, kind).to(device)
    texts = load_file(file, device)
    exact = {name: outputs(model, rows) for name, rows in texts.items()}
    new, layers = load_file(weights), {f"{path}.weight" for path in layers_of(model, kind)}
    assert new.keys() == layers, f"{weights}: has {len(new)} weights, expected those of {len(layers)} layers"
    model.load_state_dict(new, strict=False)
    found = {
        name: summarize(compare(model, rows, exact[name], outputs(model, rows)), kind)
        for name, rows in texts.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
