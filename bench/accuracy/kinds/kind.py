"""What the accuracy table has to know of a kind of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Outputs = Any  # what a kind compares: of its own making


@dataclass(frozen=True)
class Score:
    """A score that is shown, with its standard error."""

    title: str
    name: str  # among what compare() gives
    digits: int
    of_model: str = ""  # the same score of the full-precision model, by its name there; shown beside it


@dataclass(frozen=True)
class ForAimet:
    """How AIMET is given such a model."""

    wrap: Callable[[Any], nn.Module]
    inside: str  # the path of the model in what wrap() gives
    # Of rows: what forward takes beside them. AIMET traces models, and transformers' mask builder does not
    # survive that.
    more_inputs: Callable[[Tensor], dict[str, Tensor]] = lambda rows: {}
    load: dict[str, object] = field(default_factory=dict)  # the loader's options


@dataclass(frozen=True)
class Kind:
    """What the models of one kind have in common."""

    load: Callable[..., Any]  # a model, from its folder and options
    package: str  # that has their classes
    input: str  # what their forward calls its rows
    outside: str  # layers kept in full precision, by path or class; a decoder's head is its embedding
    outputs: Callable[[Any, Tensor], Outputs]  # of a model, on rows
    # Of a model, rows, its outputs and those of new weights: scores of each row.
    compare: Callable[[Any, Tensor, Outputs, Outputs], dict[str, Tensor]]
    scores: tuple[Score, ...]  # the first is the one that counts
    aimet: ForAimet
    trains_outside: bool = False  # layers outside blocks that are quantized: a classifier's head
    # Rows are few, and methods differ more on one than on another: each row's scores are kept, to pair them.
    paired: bool = False
    # Scores that are mean losses of tokens, by what their exponential is called.
    perplexities: dict[str, str] = field(default_factory=dict)


EAGER: dict[str, object] = {"attn_implementation": "eager"}  # AIMET's own configuration of attention


def transformers_loader(name: str, **fixed: object) -> Callable[..., Any]:
    def load(folder: str, **options: object) -> Any:
        import transformers

        loader = getattr(transformers, name)
        return loader.from_pretrained(folder, dtype=torch.float32, **fixed, **options)

    return load
