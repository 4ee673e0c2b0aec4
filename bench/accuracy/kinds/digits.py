"""Classifiers of handwritten digits, whose true accuracy is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .digits_models import SIDE, load_digits_model
from .kind import ForAimet, Kind, Score


def with_labels(images: Tensor, labels: Tensor) -> Tensor:
    """Rows [n, 65] to judge by: an image's pixels, then its digit."""
    return torch.cat([images.flatten(1), labels[:, None].float()], 1)


@torch.no_grad()
def class_scores(model: Any, rows: Tensor) -> Tensor:
    """Before the softmax, of rows of with_labels: [n, 10]."""
    return model(rows[:, :-1].unflatten(1, (1, SIDE, SIDE)))


def compare(model: Any, rows: Tensor, exact: Tensor, got: Tensor) -> dict[str, Tensor]:
    """Of each image: the KL divergence of the digits' distribution from the model's, whether the first digit
    is the model's, and whether it is the true one, with the same of the model."""
    p, q = exact.log_softmax(-1), got.log_softmax(-1)
    got_digit, exact_digit, true_digit = got.argmax(-1), exact.argmax(-1), rows[:, -1].long()
    return {
        "kl": (p.exp() * (p - q)).sum(-1),
        "agreement": (got_digit == exact_digit).float(),
        "accuracy": (got_digit == true_digit).float(),
        "model_accuracy": (exact_digit == true_digit).float(),
    }


DIGITS_CLASSIFIER = Kind(
    load_digits_model,
    package="torch",
    input="images",
    outside="stem",
    outputs=class_scores,
    compare=compare,
    scores=(
        Score("KL", "kl", 4),
        Score("agreement", "agreement", 3),
        Score("accuracy", "accuracy", 3, of_model="model_accuracy"),
    ),
    aimet=ForAimet(lambda model: model, ""),
    trains_outside=True,
)
