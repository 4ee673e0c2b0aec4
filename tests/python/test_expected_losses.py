"""What a target expects of a layer's rounding, beside what the output then loses.

Inputs come from a ReLU and most weights of a row round to zero from above, so that their errors add up in
the output. They do not for keys, since a softmax ignores what all of them share, and a transposed convolution
adds up some of them alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import adascale

SAMPLES = 16  # all that the estimate looks at
MAPS = (8, 12, 12)


class Attention(nn.Module):
    """Its keys are the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(32, 32)
        self.layer = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.query(x) @ self.layer(x).transpose(-1, -2) / 32**0.5
        return scores.softmax(-1) @ x


class Block(nn.Module):
    def __init__(self, first: nn.Module, layer: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.first, self.layer, self.after = first, layer, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.first(x).relu()))


class Net(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def of_maps(layer: nn.Module, after: nn.Module | None = None) -> nn.Module:
    return Block(nn.Conv2d(MAPS[0], MAPS[0], 1), layer, after or nn.Flatten())


def keys() -> nn.Module:
    return Block(nn.Linear(32, 32), Attention(), nn.Identity())


def pooled(layer: nn.Module) -> nn.Module:
    return of_maps(layer, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "linear": (lambda: Block(nn.Linear(64, 64), nn.Linear(64, 32), nn.Identity()), (64,), 32),
    "convolution": (lambda: of_maps(nn.Conv2d(8, 16, 3)), MAPS, 16),
    "depthwise": (lambda: of_maps(nn.Conv2d(8, 8, 3, groups=8)), MAPS, 8),
    "grouped": (lambda: of_maps(nn.Conv2d(8, 16, 3, groups=2)), MAPS, 16),
    "transposed": (lambda: of_maps(nn.ConvTranspose2d(8, 16, 2, stride=2)), MAPS, 16),
    "transposed depthwise": (lambda: of_maps(nn.ConvTranspose2d(8, 8, 4, stride=2, groups=8)), MAPS, 8),
    "pooled": (lambda: pooled(nn.Conv2d(8, 16, 3)), MAPS, 16),
    "keys": (keys, (10, 32), 32),
}


@pytest.mark.parametrize("case", CASES)
def test_a_target_expects_what_is_measured(case: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, sizes, channels = CASES[case]
    model = Net(make()).eval()
    *others, name = sorted(weighted(model), key=lambda path: path.endswith("layer"))
    weight = model.get_parameter(f"{name}.weight")
    with torch.no_grad():
        weight.copy_(torch.rand_like(weight) ** 4)
    data = torch.randn(SAMPLES, *sizes)
    adascale.quantize(
        model,
        tmp_path,
        data,
        recipe="rtn",
        formats=["safetensors"],
        target_widths=[2, 8],
        target_bits=2.1 + 32 * channels / weight.numel(),  # a scale of fp32 for each
        layer_config={path: {"param_bw": 32} for path in others},
        progress=False,
    )
    chosen = json.loads((tmp_path / "report.json").read_text())["bits"]
    assert [(one["layers"], one["bits"]) for one in chosen["choices"]] == [([name], 2)]
    (file,) = tmp_path.glob("*.safetensors")
    assert 0.8 < chosen["expected"] / measured(model, load_file(file), data) < 1.25


def weighted(model: nn.Module) -> list[str]:
    return [path for path, module in model.named_modules() if hasattr(module, "weight")]


def measured(model: nn.Module, weights: dict[str, Tensor], data: Tensor) -> float:
    """The mean relative squared error of a position."""
    quantized = copy.deepcopy(model)
    quantized.load_state_dict(weights, strict=False)
    with torch.no_grad():
        exact, got = model(data), quantized(data)
    return float(((got - exact).square().mean(-1) / exact.square().mean(-1)).mean())
