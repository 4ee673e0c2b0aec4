"""An environment for each peer: they pin what the others must not depend on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from folders import ROOT, WORK

HERE = Path(__file__).parent
REQUIREMENTS = {
    "auto_round": HERE / "requirements-auto_round.txt",
    "llm_compressor": HERE / "requirements-llm_compressor.txt",
    "aimet": HERE.parent / "requirements-aimet.txt",
}
CPU_WHEELS = ("--extra-index-url", "https://download.pytorch.org/whl/cpu")


def python_of(method: str) -> Path:
    """The interpreter that runs a method; made when it is first asked for."""
    if method not in REQUIREMENTS:
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


def versions_of(method: str) -> str:
    """What its cells are made by: another list is another cell."""
    return _digest(method) if method in REQUIREMENTS else ""


def _torch() -> str:
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def _digest(method: str) -> str:
    return hashlib.sha256((_torch() + REQUIREMENTS[method].read_text()).encode()).hexdigest()[:16]
