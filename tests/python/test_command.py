"""The command that pip installs is the C++ one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from adascale.command_start import is_command
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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-m", "adascale", "list", "grids"], True),
        (["python", "-W", "ignore", "-m", "adascale"], True),
        (["/usr/bin/python3", "/opt/venv/bin/adascale", "--version"], True),
        (["python", "train.py", "adascale"], False),
        (["python", "-m", "pytest", "adascale"], False),
        (["python"], False),
        (["python", "-m"], False),
    ],
)
def test_the_command_is_told_from_a_users_process(words: list[str], expected: bool) -> None:
    assert is_command(words) == expected


def test_the_commands_waiting_threads_sleep() -> None:
    def spins(*words: str, **more: str) -> str:
        """How often OpenMP's threads look before they sleep, as OpenMP says it."""
        env = {**os.environ, "OMP_DISPLAY_ENV": "verbose", **more}
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
            if name not in more:
                env.pop(name, None)
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=env, check=True)
        return next(line.split("'")[1] for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line)

    assert spins("-m", "adascale", "--version") == "5000"
    assert spins("-m", "adascale", "--version", GOMP_SPINCOUNT="17") == "17"
    assert spins("-c", "import adascale") == spins("-c", "import torch") != "0"
