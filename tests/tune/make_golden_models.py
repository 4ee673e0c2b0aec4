"""Exports the golden numbers' two-block models at their start: make_golden_models.py GOLDEN_DIR OUT_DIR"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


def layer(golden, key):
    weight, bias = torch.from_numpy(golden[key + ".W0"]), torch.from_numpy(golden[key + ".bias"])
    if weight.dim() == 2:
        module = nn.Linear(weight.shape[1], weight.shape[0])
    else:
        module = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=weight.shape[2] // 2)
    module.load_state_dict({"weight": weight, "bias": bias})
    return module


for name in ("golden_linear", "golden_conv"):
    golden = np.load(Path(sys.argv[1]) / f"{name}.npz")
    blocks = [Block(layer(golden, f"blk{i}.a"), layer(golden, f"blk{i}.b")) for i in (0, 1)]
    example = torch.from_numpy(golden["x"][0])
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(nn.Sequential(*blocks).eval(), (example,), dynamic_shapes=({0: batch},))
    torch.export.save(program, Path(sys.argv[2]) / f"{name}.pt2")
