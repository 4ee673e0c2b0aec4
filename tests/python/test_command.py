"""The command that pip installs is the C++ one."""

import subprocess
import sys
from pathlib import Path

import torch
from small_models import ConsecutiveBlocks


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "adascale", *arguments], capture_output=True, text=True)


def test_version_and_exit_codes() -> None:
    version = run("--version")
    assert version.returncode == 0 and version.stdout.startswith("adascale ")
    wrong = run("quantise")
    assert wrong.returncode == 2 and wrong.stderr.startswith("adascale: error: ")


def test_inspect(tmp_path: Path) -> None:
    program = torch.export.export(ConsecutiveBlocks(16, 2).eval(), (torch.rand(2, 16),))
    torch.export.save(program, tmp_path / "model.pt2")
    inspected = run("inspect", str(tmp_path / "model.pt2"))
    assert inspected.returncode == 0, inspected.stderr
    assert "linear_blocks.1" in inspected.stdout
