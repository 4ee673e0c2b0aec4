"""Language models, judged by the next token's distribution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .kind import EAGER, ForAimet, Kind, Score, transformers_loader


@torch.no_grad()
def hidden_states(model: Any, rows: Tensor) -> list[Tensor]:
    """What the head reads of each row."""
    return [model.model(input_ids=row[None]).last_hidden_state[0] for row in rows]


@torch.no_grad()
def compare(model: Any, rows: Tensor, exact: list[Tensor], got: list[Tensor]) -> dict[str, Tensor]:
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


def _for_aimet(model: Any) -> nn.Module:
    from models import CausalLM

    return CausalLM(model)


DECODER = Kind(
    transformers_loader("AutoModelForCausalLM"),
    package="transformers",
    input="input_ids",
    outside="*lm_head",
    outputs=hidden_states,
    compare=compare,
    scores=(Score("KL", "kl", 3),),
    aimet=ForAimet(_for_aimet, "lm", load=EAGER),
    perplexities={"loss": "perplexity", "model_loss": "model_perplexity"},
)
