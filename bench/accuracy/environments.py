"""An environment for each peer: they pin what the others must not depend on.

On a GPU there is none: the peers run beside the torch of this interpreter, where its user installed them. The
versions that ran are in each cell.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from cells import Cell
from subjects import ROOT, WORK

HERE = Path(__file__).parent
REQUIREMENTS = {
    "auto_round": HERE / "requirements-auto_round.txt",
    "llm_compressor": HERE / "requirements-llm_compressor.txt",
    "llama_cpp": HERE / "requirements-llama_cpp.txt",
    "aimet": HERE.parent / "requirements-aimet.txt",
}
CPU_WHEELS = ("--extra-index-url", "https://download.pytorch.org/whl/cpu")


def python_of(cell: Cell) -> Path:
    """The interpreter that runs a cell's method; made when it is first asked for."""
    method = cell.method
    if not _has_own(cell):
        return Path(sys.executable)
    folder, wanted = WORK / f"venv-{method}", _digest(method)
    python, stamp = folder / "bin" / "python", folder / "made.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"== making {folder}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*install, _torch()], stderr=subprocess.DEVNULL).returncode != 0:
        subprocess.run([*install, _torch(), *CPU_WHEELS], check=True)
    subprocess.run([*install, "--no-deps", "--requirement", REQUIREMENTS[method]], check=True)
    stamp.write_text(wanted)
    return python


def versions_of(cell: Cell) -> str:
    """What it is made by: another list is another cell."""
    return _digest(cell.method) if _has_own(cell) else ""


def _has_own(cell: Cell) -> bool:
    return cell.device == "cpu" and cell.method in REQUIREMENTS


def _torch() -> str:
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def _digest(method: str) -> str:
    return hashlib.sha256((_torch() + REQUIREMENTS[method].read_text()).encode()).hexdigest()[:16]
