"""The distance of a quantized model from its original."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from workloads import Workload

Model = Callable[..., torch.Tensor]


@torch.no_grad()
def error_of(model: Model, workload: Workload) -> float:
    """Squared error of the outputs over their square, on inputs not used in training; padding does not
    count."""
    error = size = 0.0
    for batch in workload.held_out:
        target, output = workload.model(**batch), model(**batch)
        if (mask := batch.get("attention_mask")) is not None:
            target, output = target[mask.bool()], output[mask.bool()]
        error += (output - target).square().sum().item()
        size += target.square().sum().item()
    return error / size


@torch.no_grad()
def language_scores(model: Model, workload: Workload) -> dict[str, object]:
    """Perplexity over the held-out rows, all and without the first; against the FP model's logits the mean KL
    divergence and the share of same top tokens, each [mean, standard error over tokens]."""
    losses, divergences, same = [], [], []
    for batch in workload.held_out:
        tokens = batch["input_ids"][0]
        logits = model(**batch)[0].float().log_softmax(-1)
        exact = workload.model(**batch)[0].float().log_softmax(-1)
        losses.append(-logits[:-1].gather(1, tokens[1:, None]).mean().item())
        divergences.append((exact.exp() * (exact - logits)).sum(-1))
        same.append((exact.argmax(-1) == logits.argmax(-1)).float())
    return {
        "perplexity": float(np.exp(np.mean(losses))),
        "perplexity_rows_1_to_7": float(np.exp(np.mean(losses[1:]))),
        "kl": _mean_and_error(torch.cat(divergences)),
        "same_top": _mean_and_error(torch.cat(same)),
    }


def _mean_and_error(values: torch.Tensor) -> list[float]:
    return [values.mean().item(), values.std().item() / len(values) ** 0.5]
