"""AIMET's AdaScale in plain PyTorch, for the blocks AIMET itself does not know.

FlexRound's division (arXiv 2306.00317, eq. 2) and OmniQuant's clipping (arXiv 2308.13137, eq. 2), trained as
AIMET 2.42 does: Adam under a cosine, squared error summed over dim 1, every element of an input from the
quantized or the FP model with even chances. Linear layers, symmetric, per channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE_RATE, ROUNDING_RATE = 1e-3, 5e-4
QUANTIZED_SHARE = 0.5

Call = tuple[tuple[Any, ...], dict[str, Any]]


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


class LearnedLinear(nn.Module):
    """A Linear whose weight is divided, clipped and rounded in its forward."""

    def __init__(self, linear: nn.Linear, bits: int) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight.detach(), linear.bias
        self.lowest, self.highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        delta = torch.maximum(
            self.weight.amax(1, keepdim=True) / self.highest, self.weight.amin(1, keepdim=True) / self.lowest
        )
        self.min, self.max = self.lowest * delta, self.highest * delta
        self.beta, self.gamma = (nn.Parameter(torch.zeros_like(delta)) for _ in range(2))
        self.s2, self.s3 = nn.Parameter(torch.zeros_like(self.weight)), nn.Parameter(torch.zeros_like(delta))
        self.trained: Tensor | None = None

    def quantized(self) -> Tensor:
        divided = self.weight / torch.exp(self.s2) / torch.exp(self.s3)
        span = torch.exp(self.gamma) * self.max - torch.exp(self.beta) * self.min
        scale = span / (self.highest - self.lowest)
        return scale * torch.clamp(_Round.apply(divided / scale), self.lowest, self.highest)

    @torch.no_grad()
    def freeze(self) -> None:
        self.trained = self.quantized()
        for name in ("beta", "gamma", "s2", "s3"):
            delattr(self, name)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.quantized() if self.trained is None else self.trained, self.bias)


class _Reached(Exception):
    """The first block was called: the rest of the model need not run."""


@contextmanager
def _calls_of(block: nn.Module) -> Iterator[list[Call]]:
    calls: list[Call] = []

    def keep(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((args, kwargs))
        raise _Reached

    hook = block.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()


def _output(block: nn.Module, hidden: Tensor, call: Call) -> Tensor:
    args, kwargs = call
    output = block(hidden, *args[1:], **kwargs)
    return output[0] if isinstance(output, tuple) else output


def _learn(block: nn.Module, bits: int) -> list[LearnedLinear]:
    """Replaces every Linear of the block by a LearnedLinear."""
    places = [
        (parent, name, child)
        for parent in block.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear)
    ]
    learned = [LearnedLinear(child, bits) for _, _, child in places]
    for (parent, name, _), layer in zip(places, learned, strict=True):
        setattr(parent, name, layer)
    return learned


def train_block(
    block: nn.Module, calls: list[Call], fp: list[Tensor], quant: list[Tensor], iterations: int, bits: int
) -> tuple[list[Tensor], int]:
    """Quantizes one block in place; returns the FP block's outputs and the number of layers trained."""
    with torch.no_grad():
        targets = [_output(block, x, call) for x, call in zip(fp, calls, strict=True)]
    layers = _learn(block, bits)
    optimizer = torch.optim.Adam(
        [
            {"params": [p for layer in layers for p in (layer.beta, layer.gamma)], "lr": SCALE_RATE},
            {"params": [p for layer in layers for p in (layer.s2, layer.s3)], "lr": ROUNDING_RATE},
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=iterations)
    for iteration in range(iterations):
        i = iteration % len(calls)
        mixed = torch.where(torch.rand_like(fp[i]) < QUANTIZED_SHARE, quant[i], fp[i])
        loss = (targets[i] - _output(block, mixed, calls[i])).square().sum(1).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    for layer in layers:
        layer.freeze()
    return targets, len(layers)


def apply(
    model: nn.Module,
    blocks: Iterable[nn.Module],
    batches: list[dict[str, Tensor]],
    iterations: int,
    bits: int,
) -> int:
    """Quantizes the Linear layers of the blocks in place, in order, and returns their number.

    `blocks` follow each other directly, each from one hidden state to the next, with the same side inputs.
    """
    blocks = list(blocks)
    model.requires_grad_(False)
    with _calls_of(blocks[0]) as calls, torch.no_grad():
        for batch in batches:
            try:
                model(**batch)
            except _Reached:
                continue
    fp = [args[0] for args, _ in calls]
    quant, layers = list(fp), 0
    for block in blocks:
        fp, trained = train_block(block, calls, fp, quant, iterations, bits)
        layers += trained
        with torch.no_grad():
            quant = [_output(block, x, call) for x, call in zip(quant, calls, strict=True)]
    return layers
