"""Judges weights on the held-out texts, against the model that they came from.

    python judge.py MODEL WEIGHTS ROWS DEVICE

MODEL: a transformers folder in fp32. WEIGHTS: .safetensors with new weights by name. ROWS: .safetensors with
token ids [rows, tokens] of each text. Prints JSON: for each text the KL divergence of the outputs from the
model's, over the whole vocabulary, the share of tokens with the same most probable successor, and both
perplexities. Means over all tokens; standard errors are those of the rows' means, as tokens of one row depend
on each other.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


@torch.no_grad()
def hidden_states(model: Any, rows: Tensor) -> list[Tensor]:
    """What the head reads of each row."""
    return [model.model(input_ids=row[None]).last_hidden_state[0] for row in rows]


@torch.no_grad()
def compare(head: Any, rows: Tensor, exact: list[Tensor], got: list[Tensor]) -> Iterator[dict[str, float]]:
    for row, of_model, of_weights in zip(rows, exact, got, strict=True):
        p, q = (head(states).float().log_softmax(-1) for states in (of_model, of_weights))
        yield {
            "kl": (p.exp() * (p - q)).sum(-1).mean().item(),
            "same_top": (p.argmax(-1) == q.argmax(-1)).float().mean().item(),
            "loss": -q[:-1].gather(1, row[1:, None]).mean().item(),
            "model_loss": -p[:-1].gather(1, row[1:, None]).mean().item(),
        }


def scores(rows: list[dict[str, float]]) -> dict[str, float]:
    values = {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}
    mean = {name: value.mean().item() for name, value in values.items()}
    return {
        "kl": mean["kl"],
        "kl_error": values["kl"].std().item() / math.sqrt(len(rows)),
        "same_top": mean["same_top"],
        "perplexity": math.exp(mean["loss"]),
        "model_perplexity": math.exp(mean["model_loss"]),
    }


def main() -> None:
    from transformers import AutoModelForCausalLM

    folder, weights, file, device = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(folder).eval().to(device)
    texts = load_file(file, device)
    exact = {name: hidden_states(model, rows) for name, rows in texts.items()}
    unknown = load_file(weights).keys() - model.state_dict().keys()
    assert not unknown, f"{weights}: the model has no {sorted(unknown)[0]}"
    model.load_state_dict(load_file(weights), strict=False)
    found = {
        name: scores(list(compare(model.lm_head, rows, exact[name], hidden_states(model, rows))))
        for name, rows in texts.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
