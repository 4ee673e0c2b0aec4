"""What the blocks of the rows `conv` and `seed` cost with nothing quantized.

It is the least that a trainer on torch's operators can reach, to hold their targets against. `operators`:
the convolutions or products alone, forward, weight gradients, and input gradients where something before them
is trained. `step`: the block's forward, a mean squared error, and autograd's gradients of the weights. Prints
one line of JSON, in CPU seconds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import torch
from floor import seconds
from models import InvertedResidual, SeedBlock
from torch import Tensor, nn
from torch.nn import functional


def step_of(block: nn.Module, x: Tensor) -> Callable[[], None]:
    weights = [parameter for name, parameter in block.named_parameters() if name.endswith("weight")]
    target = torch.randn_like(x)

    def step() -> None:
        torch.autograd.grad(functional.mse_loss(block(x), target), weights)

    return step


def convolution(layer: nn.Conv2d, x: Tensor, input_gradient: bool) -> Callable[[], None]:
    weight, bias, padding, groups = layer.weight.detach(), layer.bias, list(layer.padding), layer.groups
    assert bias is not None
    gradient = torch.randn_like(layer(x).detach())
    shape = [1, 1], padding, [1, 1]

    def convolve() -> None:
        torch.conv2d(x, weight, bias, *shape, groups)
        torch.ops.aten.convolution_backward(
            gradient, x, weight, None, *shape, False, [0, 0], groups, [input_gradient, True, False]
        )

    return convolve


def product(layer: nn.Linear, x: Tensor, input_gradient: bool) -> Callable[[], None]:
    weight, rows = layer.weight.detach(), x.flatten(0, -2)
    gradient = torch.randn(len(rows), layer.out_features)

    def multiply() -> None:
        torch.addmm(layer.bias, rows, weight.t())
        torch.mm(gradient.t(), rows)
        if input_gradient:
            torch.mm(gradient, weight)

    return multiply


def conv() -> tuple[nn.Module, Tensor, list[Callable[[], None]]]:
    block, x, wide = InvertedResidual(32), torch.randn(8, 32, 28, 28), torch.randn(8, 128, 28, 28)
    operators = [
        convolution(block.expand, x, False),
        convolution(block.depthwise, wide, True),
        convolution(block.project, wide, True),
    ]
    return block, x, operators


def seed() -> tuple[nn.Module, Tensor, list[Callable[[], None]]]:
    block, x, narrow = SeedBlock().eval(), torch.randn(3, 3, 32, 64), torch.randn(3, 3, 32, 32)
    return block, x, [product(block.fc1, x, False), product(block.fc2, narrow, True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("block", choices=("conv", "seed"))
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    block, x, operators = conv() if args.block == "conv" else seed()
    with torch.no_grad():
        bare = seconds(operators, args.iterations)
    step = seconds([step_of(block, x)], args.iterations)
    print(json.dumps({"operators_cpu_s": bare, "step_cpu_s": step}))


if __name__ == "__main__":
    main()
