"""Files of a model that was simulated block by block."""

import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from . import _C
from .errors import Error

FORMATS = ("safetensors", "encodings")
"""What can be written without a program of the whole model."""


def export_live(
    model: nn.Module,
    cores: dict[str, _C.Sim],
    outside: list[str],
    folder: str,
    prefix: str,
    formats: list[str],
    encoding_version: str,
) -> list[str]:
    """Writes the formats, all or none; returns their paths.

    model: the live model, quantized blocks in place. cores: the blocks by their paths. outside: names of
        modules left in full precision.
    Raises :class:`adascale.Error` before anything is written for formats that hold a whole program.
    """
    _check(formats, prefix)
    encodings = _encodings(cores, outside, encoding_version) if "encodings" in formats else None
    files = _C.StagedFiles(folder)
    for name in formats:
        if name == "safetensors":
            tensors, metadata = _tensors(model, cores)
            _C.write_safetensors(files.path(f"{prefix}.safetensors"), tensors, metadata)
        else:
            Path(files.path(f"{prefix}_torch.encodings")).write_text(json.dumps(encodings, indent=1))
    return files.commit()


def _check(formats: list[str], prefix: str) -> None:
    if not formats:
        raise Error("export: no format is named; `adascale list formats` lists them")
    if not prefix or "/" in prefix or "\\" in prefix or "\0" in prefix:
        raise Error(f"export: prefix '{prefix}' is no bare file name; give the folder as the path")
    if len(set(formats)) < len(formats):
        raise Error(f"export: a format is named twice in {', '.join(formats)}")
    whole = [name for name in formats if name not in FORMATS]
    if whole:
        raise Error(
            f"export: {', '.join(whole)}: this model was captured block by block and has no program of the "
            f"whole; use {', '.join(FORMATS)}"
        )


def _tensors(model: nn.Module, cores: dict[str, _C.Sim]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict with quantized weights on their grids, tied ones once."""
    on_grid: dict[str, tuple[Tensor, str]] = {}
    for core in cores.values():
        on_grid |= _C.weights_on_grid(core)
    tensors: dict[str, Tensor] = {}
    first_names: dict[tuple[Any, ...], str] = {}
    tied: dict[str, str] = {}
    for name, shown in model.state_dict().items():
        identity = (shown.data_ptr(), shown.dtype, tuple(shown.shape), shown.stride())
        first = first_names.setdefault(identity, name)
        if first != name and shown.numel() > 0:
            tied[name] = first
            continue
        tensors[name] = on_grid[name][0] if name in on_grid else shown
    grids = {name: grid for name, (_, grid) in on_grid.items()}
    metadata = {
        "format": "pt",
        "adascale.version": version("adascale"),
        "adascale.weights": json.dumps(grids),
    }
    return tensors, metadata | tied


def _encodings(cores: dict[str, _C.Sim], outside: list[str], encoding_version: str) -> dict[str, Any]:
    """The content of one AIMET file from the files of the blocks."""
    parts: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as folder:
        for index, (path, core) in enumerate(cores.items()):
            (file,) = core.export(folder, str(index), ["encodings"], encoding_version)
            parts[path] = json.loads(Path(file).read_text())
    excluded = {name for part in parts.values() for name in part["excluded_layers"]} | {*outside}
    activations = {
        _unique_name(path, name): entry
        for path, part in parts.items()
        for name, entry in part["activation_encodings"].items()
    }
    params = {name: entry for part in parts.values() for name, entry in part["param_encodings"].items()}
    first = next(iter(parts.values()))
    return first | {
        "activation_encodings": activations,
        "excluded_layers": sorted(excluded),
        "param_encodings": params,
    }


def _unique_name(path: str, name: str) -> str:
    """An operation outside modules ("add_3") has a name only in its block."""
    return name if name == path or name.startswith(f"{path}.") else f"{path}.{name}"
