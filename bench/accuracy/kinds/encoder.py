"""Sentence encoders, judged by their embeddings."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .kind import EAGER, ForAimet, Kind, Score, transformers_loader

NEIGHBOURS = 10


@torch.no_grad()
def embeddings(model: Any, rows: Tensor) -> Tensor:
    """Of each row, the mean of its tokens' states, of unit length: [rows, width]."""
    states = [model(input_ids=part).last_hidden_state.mean(1) for part in rows.split(16)]
    return torch.nn.functional.normalize(torch.cat(states), dim=-1)


def compare(model: Any, rows: Tensor, exact: Tensor, got: Tensor) -> dict[str, Tensor]:
    """Of each row: 1 - cosine of its embedding with the model's, and the share of its ten nearest
    neighbours among the text's rows that the new weights keep."""

    def neighbours(x: Tensor) -> Tensor:
        return (x @ x.T).fill_diagonal_(-2).topk(NEIGHBOURS).indices

    same = neighbours(exact)[:, :, None] == neighbours(got)[:, None, :]
    return {"distance": 1 - (exact * got).sum(-1), "recall": same.any(-1).float().mean(-1)}


def _for_aimet(model: Any) -> nn.Module:
    from models import Encoder

    return Encoder(model)


def _no_mask(rows: Tensor) -> dict[str, Tensor]:
    samples, tokens = rows.shape
    return {"attention_mask": torch.zeros(samples, 1, tokens, tokens)}


ENCODER = Kind(
    transformers_loader("AutoModel", add_pooling_layer=False),
    package="transformers",
    input="input_ids",
    outside="Embedding",
    outputs=embeddings,
    compare=compare,
    scores=(Score("1 - cosine", "distance", 4), Score("recall@10", "recall", 3)),
    aimet=ForAimet(_for_aimet, "bert", _no_mask, EAGER),
)
