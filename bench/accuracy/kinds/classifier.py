"""Classifiers of images, judged by their classes. A row is a photo, whose crops depend on each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .efficientnet import load_efficientnet
from .kind import ForAimet, Kind, Score


@torch.no_grad()
def class_scores(model: Any, photos: Tensor) -> Tensor:
    """Of each photo's crops, before the softmax: [photos, crops, classes]."""
    return torch.stack([model(crops) for crops in photos])


def compare(model: Any, photos: Tensor, exact: Tensor, got: Tensor) -> dict[str, Tensor]:
    """Of each photo, means over its crops: the KL divergence of the classes' distribution from the model's,
    the cosine of the scores before the softmax, and the share of crops with the same first class."""
    p, q = exact.log_softmax(-1), got.log_softmax(-1)
    of_crops = {
        "kl": (p.exp() * (p - q)).sum(-1),
        "cosine": torch.nn.functional.cosine_similarity(exact, got, dim=-1),
        "agreement": (exact.argmax(-1) == got.argmax(-1)).float(),
    }
    return {name: values.mean(-1) for name, values in of_crops.items()}


CLASSIFIER = Kind(
    load_efficientnet,
    package="efficientnet-lite-pytorch",
    input="inputs",
    outside="_conv_stem*",
    outputs=class_scores,
    compare=compare,
    scores=(Score("KL", "kl", 3), Score("cosine", "cosine", 3), Score("agreement", "agreement", 3)),
    aimet=ForAimet(lambda model: model, ""),
    trains_outside=True,
    paired=True,
)
