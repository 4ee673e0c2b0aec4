"""Helpers of the device tests, fake and GPU: runs on a device and on the CPU, and their comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from adascale.doors import python_doors
from adascale.runtimes import python_runtimes
from small_models import ConsecutiveBlocks, seed_loader
from torch import Tensor, nn

from adascale import _C

CPU = torch.device("cpu")
ENCODINGS = ("0.6.1", "1.0.0", "2.0.0", "2.1.0")
PACKED: dict[str, dict[str, Any]] = {
    "hf": {},
    "compressed-tensors": {"group_size": 16},
    "gptq": {"group_size": 16},
    "gguf": {"group_size": 32},
    "gguf:Q4_K": {},
    "gguf:Q4_1": {},
    "gguf:Q8_0": {"param_bw": 8},
}


class ReadsItsDevice(nn.Module):
    """A model with a literal of the device in its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ConsecutiveBlocks(depth=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x + torch.arange(x.shape[-1], device=x.device) / 64)


def save_program(path: Path) -> Path:
    shapes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(ReadsItsDevice().eval(), (seed_loader()[0],), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


def save_data(path: Path) -> Path:
    from safetensors.torch import save_file

    save_file({"x": torch.cat(seed_loader())}, path)
    return path


def command(arguments: list[str]) -> int:
    """`adascale ARGUMENTS` in this process, which has the device; its exit code."""
    return _C.run_command(arguments, python_doors(), python_runtimes())


def to(data: Any, device: torch.device) -> Any:
    return torch.utils._pytree.tree_map_only(Tensor, lambda tensor: tensor.to(device), data)


@contextmanager
def operators_of_torch() -> Iterator[None]:
    """No kernels of ours, neither the CPU's nor those that a GPU compiles."""
    _C.switch_kernels(False)
    try:
        yield
    finally:
        _C.switch_kernels(True)


def encodings_of(sim: Any) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Codes, scale and offset by parameter."""
    cores = [sim._core] if isinstance(sim._core, _C.Sim) else [block.core for block in sim._core.blocks]
    return {name: entry for core in cores for name, entry in _C.encodings_of(core).items()}


def assert_same_encodings_files(on_cpu: Any, on_device: Any, folder: Path, version: str) -> None:
    texts = []
    for name, sim in (("cpu", on_cpu), ("device", on_device)):
        files = sim.export(folder / name, "q", formats=["encodings"], encoding_version=version)
        texts.append([json.loads(Path(file).read_text()) for file in files])
    assert texts[0] == texts[1]


def assert_same_default_export(on_cpu: Any, on_device: Any, folder: Path) -> tuple[Tensor, Tensor]:
    """pt2, safetensors and encodings; the program runs on the CPU. Returns an input and its output."""
    from safetensors.torch import load_file

    files = []
    for name, sim in (("cpu", on_cpu), ("device", on_device)):
        files.append({Path(path).name: path for path in sim.export(folder / name, "q")})
    expected, got = (load_file(found["q.safetensors"]) for found in files)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    x = seed_loader()[0]
    program = torch.export.load(files[1]["q.pt2"])
    assert {tensor.device for tensor in program.state_dict.values()} == {CPU}
    assert not any(name in str(program.graph) for name in ("cuda:", "fake:"))
    output = program.module()(x)
    assert torch.equal(output, torch.export.load(files[0]["q.pt2"]).module()(x))
    return x, output


def assert_same_files(got: Path, expected: Path) -> None:
    """By byte, but for .json and the report's page, which name the device.

    A comparison of the bytes themselves would be explained for hours.
    """
    found, wanted = bytes_in(got), bytes_in(expected)
    assert found.keys() == wanted.keys()
    assert not [name for name, content in wanted.items() if found[name] != content]


def bytes_in(folder: Path) -> dict[str, bytes]:
    said = (".json", ".html")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix not in said}
