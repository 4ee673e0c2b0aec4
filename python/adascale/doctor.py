"""``adascale doctor``: what works here, and what to install for the rest."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from . import _C
from .doors import FolderDoor
from .errors import Error, first_line
from .formats import python_formats
from .packages import fault_of, how_to_install, missing, required, version_of
from .runtimes import python_runtimes
from .runtimes.lm_eval import LmEval
from .sim import QuantizationSimModel


@dataclass(frozen=True)
class Finding:
    """A line of the table; ``fault`` empty: it works."""

    kind: str
    name: str
    found: str = ""
    fault: str = ""


class Doctor:
    """The command ``doctor``."""

    name = "doctor"
    description = "what is installed, what works here, and what to install for the rest"

    def run(self) -> None:
        """Prints a line per thing. Raises :class:`adascale.Error` when adascale itself does not work."""
        findings = list(examine())
        print(_table(findings), end="", flush=True)
        faults = [f"{one.name}: {one.fault}" for one in findings if one.kind == "core" and one.fault]
        if faults:
            raise Error(f"doctor: {'; '.join(faults)}")


def examine() -> Iterator[Finding]:
    """All that the tables of packages, devices, models, formats and runtimes have."""
    yield Finding("core", "adascale", version_of("adascale") or "", _fault(_quantize_a_layer))
    yield Finding("core", "torch", torch.__version__)
    for name, requirement in required().items():
        if requirement.marker is None and name != "torch":
            yield Finding("core", name, version_of(name) or "", fault_of(name))
    yield from _devices()
    yield Finding("model", ".pt2, package.module:function")
    for model, packages in FolderDoor.packages.items():
        yield _by_packages("model", model, packages)
    of_python = {row.name: row.packages for row in python_formats()}
    for name in _C.format_names():
        yield _by_packages("format", name, of_python.get(name, ()))
    for runtime in python_runtimes():
        yield _by_packages("runtime", runtime.name, runtime.packages)
    yield _by_packages("tasks", "lm-eval", LmEval.packages)


def _by_packages(kind: str, name: str, packages: Iterable[str]) -> Finding:
    found = ", ".join(f"{package} {version_of(package)}" for package in packages if version_of(package))
    lacks = missing(packages)
    if lacks:
        return Finding(kind, name, found, f"missing; {how_to_install(lacks)}")
    return Finding(kind, name, found, "; ".join(filter(None, map(fault_of, packages))))


def _devices() -> Iterator[Finding]:
    present = _C.present_devices()
    for name in present:
        yield Finding("device", name, _model_of(name), _fault(lambda name=name: _add_on(name)))
    if not any(name.startswith("cuda") for name in present):
        built = torch.version.cuda
        yield Finding(
            "device",
            "cuda",
            f"torch for CUDA {built}" if built else "torch for the CPU",
            "not here: no GPU or no driver answers; nvidia-smi shows them"
            if built
            else "not here: install a CUDA build of this torch, see pytorch.org",
        )


def _model_of(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    threads = torch.get_num_threads()
    return f"{threads} thread{'' if threads == 1 else 's'}" if device == "cpu" else ""


def _add_on(device: str) -> None:
    total = float(torch.ones(4, device=device).sum())
    if total != 4:
        raise Error(f"1 + 1 + 1 + 1 gives {total}")


def _quantize_a_layer() -> None:
    x = torch.ones(2, 8)
    sim = QuantizationSimModel(nn.Sequential(nn.Linear(8, 8)).eval(), x, param_bw=8, output_bw=32)
    if not torch.isfinite(sim.model(x)).all():
        raise Error("a quantized layer gives values that are not finite; please report it")


def _fault(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # boundary: whatever does not work is what the table shows
        return f"does not work: {first_line(error)}"
    return ""


def _table(findings: list[Finding]) -> str:
    rows = [(one.kind, one.name, one.found or "-", one.fault or "works") for one in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
        lines.append("  ".join([*cells, row[3]]))
    return "\n".join(lines) + "\n"
