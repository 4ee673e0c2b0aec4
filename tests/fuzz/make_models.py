"""Writes the models of the fuzz targets: make_models.py FOLDER. Those in models/ are from torch 2.13.

Small, because each input is one of them: example inputs and most stack traces are left out.
"""

import json
import sys
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn

LEFT_OUT = ("data/sample_inputs/", ".data/", "version", "byteorder")


class Convolutions(nn.Module):
    """A batch norm to fold, a module called twice, a region without gradients, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(2)
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.relu(self.bn(self.conv(image)))
        with torch.no_grad():
            mean = x.mean(dim=(2, 3))
        return self.relu(x + 1), mean


class Tokens(nn.Module):
    """Tied weights, sizes that are computed, attention, a constant input."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(6, 4)
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.emb.weight
        self.register_buffer("places", torch.arange(8.0), persistent=False)

    def forward(self, ids: Tensor, factor: float) -> Tensor:
        x = self.emb(ids) + self.places[: ids.shape[1]].view(1, -1, 1) * factor
        q = x.view(ids.shape[0], ids.shape[1], 2, 2).transpose(1, 2)
        y = nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
        return self.head(self.norm(y.transpose(1, 2).flatten(2)))


class Recurrent(nn.Module):
    """A list of tensors as an operand, and several results of one node."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.lstm(x)[0].chunk(2, dim=1)
        return torch.cat([first, second], dim=-1)


def save(path: Path, model: nn.Module, inputs: tuple[object, ...], sizes: object = None) -> None:
    program = torch.export.export(model.eval(), inputs, dynamic_shapes=sizes)
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as archive:
        records = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    graph = json.loads(records["models/model.json"])
    for node in graph["graph_module"]["graph"]["nodes"][1:]:
        node["metadata"].pop("stack_trace", None)
    records["models/model.json"] = json.dumps(graph, separators=(",", ":")).encode()
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in records.items():
        if not name.startswith(LEFT_OUT):
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def main(folder: Path) -> None:
    torch.manual_seed(0)
    auto = torch.export.Dim.AUTO
    sampled = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))
    save(folder / "sampled.pt2", sampled, (torch.rand(4, 8),), ({0: auto},))
    save(folder / "convolutions.pt2", Convolutions(), (torch.rand(2, 1, 4, 4),))
    save(folder / "tokens.pt2", Tokens(), (torch.randint(0, 6, (2, 5)), 0.5), ({0: auto, 1: auto}, None))
    save(folder / "recurrent.pt2", Recurrent(), (torch.rand(2, 4, 3),))


main(Path(sys.argv[1]))
