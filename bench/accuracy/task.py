"""What a method of the accuracy table gets and gives.

Each method runs in an environment of its own, so that this imports nothing but torch, safetensors and, for a
model, the package that has its class:

    python bench/accuracy/by_NAME.py '{"model": ..., "rows": ..., ...}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from kinds import KINDS
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).parent.parent))
from measure import Cost, cost

Ranges = dict[str, tuple[float, int]]  # of a layer's input: scale, and the code of zero, from 0 on
INPUT = ".input"  # behind a layer's path: its range among the weights, [scale, code of zero]


@dataclass(frozen=True)
class Task:
    model: str  # a folder that its kind loads, in fp32; of transformers, with its tokenizer
    kind: str  # of KINDS
    block: str  # the class of its blocks
    rows: str  # .safetensors with rows: token ids [rows, tokens], int64, or images [rows, 3, side, side]
    out: str  # a folder that exists
    bits: int
    group_size: int  # 0: a scale for each output channel
    symmetric: bool
    iterations: int  # of a block; 0: the method has none
    samples: int  # rows in a batch
    variant: str  # of the method
    device: str  # of torch: where it computes
    seed: int = 0
    target_bits: float = 0  # the mean of widths up to ``bits``; 0: ``bits`` everywhere
    gguf: str = ""  # the type of llama.cpp's file that is to be written
    only: str = "*"  # a glob over the paths of the layers
    floats: str = ""  # "mxfp4" or "nvfp4": the grid, instead of integers
    activation_bits: int = 0  # of the layers' inputs, asymmetric, in one static range each; 0: full precision

    def load_rows(self) -> torch.Tensor:
        return load_file(self.rows)["rows"]

    def load_model(self, **options: object) -> Any:
        return load_model(self.model, self.kind, **options)

    def layers(self, model: torch.nn.Module) -> dict[str, torch.nn.Module]:
        """The layers that all methods quantize, by their paths."""
        return layers_of(model, self.kind, self.only)

    def every_layer(self, model: torch.nn.Module) -> dict[str, torch.nn.Module]:
        """Those that other cells quantize too."""
        return layers_of(model, self.kind, "*")


def layers_of(model: torch.nn.Module, kind: str, only: str) -> dict[str, torch.nn.Module]:
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
        and fnmatch(path, only)
        and not fnmatch(path, KINDS[kind].outside)
    }


def load_model(folder: str, kind: str, **options: object) -> Any:
    return KINDS[kind].load(folder, **options).eval()


class Method:
    """One run of a method. It measures what is done within ``timed()``: from a loaded model to weights."""

    def __init__(self, packages: list[str]) -> None:
        (text,) = sys.argv[1:]
        self.task = Task(**json.loads(text))
        used = ["torch", *packages, KINDS[self.task.kind].package]
        self._versions = {name: version(name) for name in used}
        self._cost: Cost | None = None

    @contextmanager
    def timed(self) -> Iterator[None]:
        on_gpu = self.task.device == "cuda"
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        with cost() as measured:
            yield
            if on_gpu:
                torch.cuda.synchronize()
        self._cost = measured
        self._device_mib = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0

    def give(
        self, weights: dict[str, torch.Tensor], in_file: int | None = None, inputs: Ranges | None = None
    ) -> None:
        """The quantized layers' new weights, on their grid, by the names of their parameters.

        in_file: the bytes that they take in the method's file, where it wrote one.
        inputs: the ranges of the layers' inputs, by the layers' paths, where the task has activation_bits.
        """
        assert self._cost is not None, "nothing was timed"
        for name, values in weights.items():
            check_grid(name, values, self.task)
        ranges = inputs or {}
        wanted = {name.removesuffix(".weight") for name in weights} if self.task.activation_bits else set()
        assert ranges.keys() == wanted, f"inputs: got {len(ranges)} ranges, expected {len(wanted)}"
        for path, (scale, zero) in ranges.items():
            check_range(path, scale, zero, self.task.activation_bits)
        found = {name: values.detach().float().contiguous() for name, values in weights.items()}
        found |= {f"{path}{INPUT}": torch.tensor(both) for path, both in ranges.items()}
        out = Path(self.task.out)
        save_file(found, out / "weights.safetensors")
        content = {"versions": self._versions, **asdict(self._cost), "device_mib": self._device_mib}
        if in_file is not None:
            content["bytes"] = in_file
        (out / "cost.json").write_text(json.dumps(content))


def check_range(path: str, scale: float, zero: int, bits: int) -> None:
    """Raises unless zero is one of a range's codes, which begin at 0. Tools count from other codes, and some
    turn zero's sign; a mistake that ends within the codes is not seen."""
    if not (scale > 0 and 0 <= zero < 2**bits):
        got, wanted = f"scale {scale} and zero {zero}", f"a scale above 0 and a zero from 0 to {2**bits - 1}"
        raise RuntimeError(f"{path}: {got} of its input, expected {wanted}")


def check_grid(name: str, weight: torch.Tensor, task: Task) -> None:
    """Raises unless each channel or group has at most 2**bits values, as weights on a grid have, and those of
    floats are multiples of one scale."""
    rows = weight.detach().float().flatten(1)
    groups = rows.reshape(-1, task.group_size or rows.shape[1])
    if task.floats and not are_floats(groups):
        raise RuntimeError(f"{name}: a group's values are no floats of 4 bits times one scale")
    found = groups.sort(1).values.diff(dim=1).ne(0).sum(1).max().item() + 1
    if found > 2**task.bits:
        raise RuntimeError(f"{name}: {found} values in a group of {task.bits} bits")


FLOATS = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])  # of 4 bits, without their sign
ROUNDED = 2**-6  # of a code: products of codes and scales may be in bf16


def are_floats(groups: torch.Tensor) -> bool:
    """Whether each row has a scale that makes all its values floats of 4 bits. Its largest is one of them."""
    largest = groups.abs().amax(1, keepdim=True).clamp_min(1e-30)
    fits = torch.zeros(len(groups), dtype=torch.bool)
    for code in FLOATS[1:]:
        codes = groups.abs() / largest * code
        nearest = FLOATS[torch.bucketize(codes, (FLOATS[1:] + FLOATS[:-1]) / 2)]
        fits |= ((codes - nearest).abs() <= ROUNDED * codes).all(1)
    return bool(fits.all())
