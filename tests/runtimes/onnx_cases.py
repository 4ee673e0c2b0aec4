"""Small models, grids and simulations for the tests of the ONNX formats."""

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx_runs import checked
from small_folders import tiny_llama
from torch import Tensor, nn

from adascale import QuantizationSimModel

EXACT = 1e-5


class Convolutions(nn.Module):
    """[n, 3, 16, 16] to [n, 12]: a depthwise layer, batch norms, two Linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16, padding=1)
        self.norm2 = nn.BatchNorm2d(16)
        self.first = nn.Linear(16, 32)
        self.last = nn.Linear(32, 12)
        for norm in (self.norm, self.norm2):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.uniform_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.norm(self.stem(image)).relu()
        hidden = self.norm2(self.depthwise(hidden)).relu().mean((2, 3))
        return self.last(self.first(hidden).relu())


class Stack(nn.Module):
    """[n, 4, 16] to [n, 4, 32]: a weight of three axes, as experts have, and a Conv1D's [in, out]."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.Parameter(torch.randn(4, 16, 32))
        self.turned = nn.Parameter(torch.randn(32, 32))
        self.last = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.bmm(x.transpose(0, 1), self.experts).transpose(0, 1)
        return self.last(torch.matmul(hidden, self.turned).relu())


def llama() -> tuple[nn.Module, dict[str, Tensor]]:
    ids = torch.randint(0, 300, (2, 16))
    return tiny_llama(tied=True), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def convolutions() -> tuple[nn.Module, dict[str, Tensor]]:
    return Convolutions().eval(), {"image": torch.rand(4, 3, 16, 16)}


def stack() -> tuple[nn.Module, dict[str, Tensor]]:
    return Stack().eval(), {"x": torch.randn(3, 4, 16)}


def sequence() -> tuple[nn.Module, dict[str, Tensor]]:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU6(), nn.Linear(64, 16)).eval()
    return model, {"input": torch.randn(2, 6, 64)}


MODELS = {"llama": llama, "convolutions": convolutions, "stack": stack}
SEQUENCES = {"sequence": sequence, "stack": stack}
GRIDS: dict[str, dict[str, Any]] = {
    "int8": {"param_bw": 8},
    "uint8": {"param_bw": 8, "symmetric": False},
    "int4": {"param_bw": 4},
    "uint4 g16": {"param_bw": 4, "symmetric": False, "group_size": 16},
    "int4 g24": {"param_bw": 4, "group_size": 24},  # rows of 32 and 64 end with shorter groups
    "int4 lpbq": {"param_bw": 4, "group_size": 16, "decompressed_bw": 8},
    "int3": {"param_bw": 3},
    "uint6 g16": {"param_bw": 6, "symmetric": False, "group_size": 16},
    "int2": {"param_bw": 2},
    "uint2": {"param_bw": 2, "symmetric": False},
    "int12": {"param_bw": 12},
    "uint16": {"param_bw": 16, "symmetric": False},
}


def simulate(name: str, options: dict[str, Any]) -> tuple[QuantizationSimModel, dict[str, Tensor], Tensor]:
    """A calibrated simulation, inputs and its outputs for them."""
    torch.manual_seed(3)  # some draws have a layer whose outputs are all zero, and no scale to speak of
    model, inputs = (MODELS | SEQUENCES)[name]()
    options = {"output_bw": 32} | options
    groups = options.get("group_size", 0)
    if name == "convolutions" and groups:
        options = options | {"layer_config": {"Conv2d": {"group_size": 0, "decompressed_bw": 0}}}
    sim = QuantizationSimModel(model, inputs, **options)
    sim.compute_encodings(lambda simulated: simulated(**inputs))
    output = sim.model(**inputs)
    return sim, inputs, output.logits if name == "llama" else output


def export(sim: QuantizationSimModel, folder: Path, name: str = "onnx") -> tuple[Path, onnx.ModelProto]:
    (path,) = sim.export(folder, "m", formats=[name])
    return Path(path), checked(Path(path))
