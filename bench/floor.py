"""The least a training step of a SmolLM2 block can cost: its bare matrix products, attention's included.

For every Linear the product of the forward pass, of its input's gradient and of its weight's; for attention
the two of its forward and the four of its backward pass, of all nine heads. q, k and v give no gradient to
their input: nothing before them is trained. Prints one line of JSON, in CPU seconds a step; beside the floor
what torch's fused attention costs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from measure import cost
from torch import Tensor
from torch.nn import functional

HEADS, HEAD_SIZE = 9, 64
DTYPES = ("float32", "bfloat16")


@dataclass
class Linear:
    name: str
    inputs: int
    outputs: int
    input_gradient: bool


LINEARS = [
    Linear("q", 576, 576, False),
    Linear("k", 576, 192, False),
    Linear("v", 576, 192, False),
    Linear("o", 576, 576, True),
    Linear("gate", 576, 1536, True),
    Linear("up", 576, 1536, True),
    Linear("down", 1536, 576, True),
]


def products(linear: Linear, tokens: int, dtype: torch.dtype) -> Callable[[], None]:
    x, weight, gradient = (
        torch.randn(shape).to(dtype)
        for shape in ((tokens, linear.inputs), (linear.outputs, linear.inputs), (tokens, linear.outputs))
    )

    def multiply() -> None:
        torch.mm(x, weight.t())
        torch.mm(gradient.t(), x)
        if linear.input_gradient:
            torch.mm(gradient, weight)

    return multiply


def attention_products(tokens: int, dtype: torch.dtype) -> Callable[[], None]:
    """Whole squares: torch's fused attention saves nothing of the causal half that it masks either."""
    query, key, value, gradient = (torch.randn(HEADS, tokens, HEAD_SIZE).to(dtype) for _ in range(4))
    weights = torch.randn(HEADS, tokens, tokens).to(dtype)

    def multiply() -> None:
        torch.bmm(query, key.transpose(1, 2))
        torch.bmm(weights, value)
        torch.bmm(weights.transpose(1, 2), gradient)
        torch.bmm(gradient, value.transpose(1, 2))
        torch.bmm(weights, key)
        torch.bmm(weights.transpose(1, 2), query)

    return multiply


def fused_attention(tokens: int, dtype: torch.dtype) -> Callable[[], None]:
    """Keys and values of the three shared heads are laid out for all nine beforehand."""
    shape = (1, HEADS, tokens, HEAD_SIZE)
    query, key, value = (torch.randn(shape).to(dtype).requires_grad_() for _ in range(3))
    gradient = torch.randn(shape).to(dtype)

    def attend() -> None:
        output: Tensor = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        torch.autograd.grad(output, (query, key, value), gradient)

    return attend


def seconds(work: list[Callable[[], None]], iterations: int) -> float:
    for call in work:
        call()
    with cost() as measured:
        for _ in range(iterations):
            for call in work:
                call()
    return measured.cpu_s / iterations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dtype = getattr(torch, args.dtype)
    linears = seconds([products(linear, args.tokens, dtype) for linear in LINEARS], args.iterations)
    attention = seconds([attention_products(args.tokens, dtype)], args.iterations)
    fused = seconds([fused_attention(args.tokens, dtype)], args.iterations)
    report = {
        "versions": {"torch": torch.__version__},
        "linears_cpu_s": linears,
        "attention_cpu_s": attention,
        "fused_attention_cpu_s": fused,
        "step_cpu_s": linears + attention,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
