"""Quantizes a small model with the adascale that is installed; scripts/wheel runs it."""

import torch
from torch import nn

import adascale


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32)) for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return x


torch.manual_seed(0)
model = Model().eval()
report = adascale.quantize(model, "out", [torch.randn(8, 32) for _ in range(4)], param_bw=4, iterations=20)
assert sum(len(block.layers) for block in report.blocks) == 4, report
torch.export.load("out/Model.pt2").module()(torch.randn(2, 32))
program = torch.export.export(model, (torch.randn(2, 32),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
torch.export.save(program, "model.pt2")
