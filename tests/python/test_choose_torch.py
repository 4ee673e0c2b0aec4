"""The torch that scripts/setup chooses, among small environments that pretend to have one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = "pip " + (ROOT / "scripts" / "constraints.txt").read_text().splitlines()[-1]
CHOOSE = """
source scripts/common; source scripts/choose-torch; choose_torch
printf '%s\\n' "$python" "$torch_choice" "${torch_reason:-}"
"""


class Machine:
    """An environment that may be active, a python3 in PATH, and the environment that setup would make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.active, self.system, self.ours = (folder / name for name in ("active", "system", "ours"))

    def python(self, environment: Path, torch: str | None, breaks: str = "") -> None:
        """An interpreter that only sees such a torch; `breaks`: the effect of importing it."""
        site = environment / "site-packages"
        for name in ("include/ATen", "lib"):
            (site / "torch" / name).mkdir(parents=True)
        for name in ("torch_cpu", "torch_python"):
            (site / "torch" / "lib" / f"lib{name}.so").touch()
        if torch:
            (site / "torch" / "__init__.py").write_text(breaks)
            (site / f"torch-{torch}.dist-info").mkdir()
            (site / f"torch-{torch}.dist-info" / "METADATA").write_text(f"Name: torch\nVersion: {torch}\n")
        else:
            (site / "torch").rename(site / "no_torch")
        (environment / "bin").mkdir()
        for name in ("python", "python3"):
            command = environment / "bin" / name
            command.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys._base_executable} -S "$@"\n')
            command.chmod(0o755)

    def choose(self, active: bool = True) -> tuple[str, str, str]:
        """The interpreter, the choice and the reason."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ADASCALE")}
        environment |= {"ADASCALE_VENV": str(self.ours), "PATH": f"{self.system}/bin:/usr/bin:/bin"}
        environment.pop("VIRTUAL_ENV", None)
        if active:
            environment["VIRTUAL_ENV"] = str(self.active)
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", CHOOSE],
            capture_output=True,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        assert ran.returncode == 0 and not ran.stderr, ran.stderr
        python, choice, reason = ran.stdout.split("\n")[:3]
        return python, choice, reason

    def make_ours(self, torch: str, choice: str) -> None:
        self.python(self.ours, torch)
        (self.ours / "torch.stamp").write_text(choice + "\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_active_environment_comes_first(machine: Machine) -> None:
    machine.python(machine.active, "2.14.1")
    machine.python(machine.system, "2.13.0")
    python, choice, reason = machine.choose()
    assert python == f"{machine.active}/bin/python"
    assert choice == f"{machine.active}/site-packages 2.14.1"
    assert reason == f"which sees torch 2.14.1 of {machine.active}"


def test_then_python3(machine: Machine) -> None:
    machine.python(machine.active, None)
    machine.python(machine.system, "2.11.0")
    python, choice, reason = machine.choose()
    assert python == f"{machine.system}/bin/python3"
    assert choice == f"{machine.system}/site-packages 2.11.0"
    assert reason == "which sees torch 2.11.0 of python3"


@pytest.mark.parametrize(
    ("torch", "breaks", "objection"),
    [
        ("2.10.1", "", "it is not >=2.11,<2.15"),
        ("2.15.0", "", "it is not >=2.11,<2.15"),
        (
            "2.13.0",
            "raise OSError('libcudart.so.13: not found')",
            "it cannot be imported: libcudart.so.13: not found",
        ),
        ("2.13.0", "import os; os.abort()", "it cannot be imported"),
    ],
)
def test_one_that_cannot_be_used_is_passed_over(
    machine: Machine, torch: str, breaks: str, objection: str
) -> None:
    machine.python(machine.system, torch, breaks)
    _, choice, reason = machine.choose(active=False)
    assert choice == DEFAULT
    assert reason.endswith(f"; torch {torch} of python3 is passed over: {objection}")


def test_one_without_headers_is_passed_over(machine: Machine) -> None:
    machine.python(machine.system, "2.13.0")
    (machine.system / "site-packages" / "torch" / "include" / "ATen").rmdir()
    _, choice, reason = machine.choose(active=False)
    assert choice == DEFAULT and reason.endswith("torch has no include/ATen")


def test_what_ours_was_made_with_stays(machine: Machine) -> None:
    machine.python(machine.system, "2.13.0")
    machine.make_ours("2.13.1", DEFAULT)
    assert machine.choose(active=False)[1] == DEFAULT


def test_unless_another_environment_is_active(machine: Machine) -> None:
    machine.python(machine.active, "2.14.1")
    machine.python(machine.system, None)
    machine.make_ours("2.13.1", DEFAULT)
    assert machine.choose(active=False)[1] == DEFAULT
    assert machine.choose()[1] == f"{machine.active}/site-packages 2.14.1"


def test_or_it_is_gone(machine: Machine) -> None:
    machine.python(machine.system, "2.13.0")
    machine.make_ours("2.14.1", f"{machine.active}/site-packages 2.14.1")
    assert machine.choose(active=False)[1] == f"{machine.system}/site-packages 2.13.0"
