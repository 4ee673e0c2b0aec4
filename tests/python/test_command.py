"""The command that pip installs is the C++ one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from adascale.command_start import is_command
from safetensors.torch import save_file
from small_models import ConsecutiveBlocks


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "adascale", *arguments], capture_output=True, text=True)


def test_version_and_exit_codes() -> None:
    version = run("--version")
    assert version.returncode == 0 and version.stdout.startswith("adascale ")
    wrong = run("quantise")
    assert wrong.returncode == 2 and wrong.stderr.startswith("adascale: error: ")


def test_a_whole_run_leaves_its_process_in_peace(tmp_path: Path) -> None:
    """Other tests fork the command, and so neither start nor end a Python for it."""
    batch = {0: torch.export.Dim.AUTO}
    program = torch.export.export(
        ConsecutiveBlocks(16, 2).eval(), (torch.rand(2, 16),), dynamic_shapes=(batch,), strict=False
    )
    torch.export.save(program, tmp_path / "model.pt2")
    (given,) = program.graph_signature.user_inputs
    save_file({given: torch.rand(8, 16)}, tmp_path / "calib.safetensors")
    out = tmp_path / "out"
    ran = run("quantize", str(tmp_path / "model.pt2"), "--data", str(tmp_path / "calib.safetensors"),
              "--output-dir", str(out), "--iterations", "2")  # fmt: skip
    assert ran.returncode == 0 and (out / "model.pt2").exists(), ran.stderr
    assert "Traceback" not in ran.stderr and "terminate" not in ran.stderr


def test_inspect(tmp_path: Path) -> None:
    program = torch.export.export(ConsecutiveBlocks(16, 2).eval(), (torch.rand(2, 16),))
    torch.export.save(program, tmp_path / "model.pt2")
    inspected = run("inspect", str(tmp_path / "model.pt2"))
    assert inspected.returncode == 0, inspected.stderr
    assert "linear_blocks.1" in inspected.stdout


@pytest.mark.parametrize(
    ("script", "words", "expected"),
    [
        ("-m", ["python", "-m", "adascale", "list", "grids"], True),
        ("-m", ["python", "-W", "ignore", "-m", "adascale"], True),
        ("/opt/venv/bin/adascale", ["/usr/bin/python3", "/opt/venv/bin/adascale", "--version"], True),
        ("train.py", ["python", "train.py", "-m", "adascale"], False),
        ("/opt/venv/bin/pytest", ["python", "/opt/venv/bin/pytest", "-m", "adascale"], False),
        ("-m", ["python", "-m", "pytest", "-m", "adascale"], False),
        ("", ["python"], False),
        ("-m", ["python", "-m"], False),
    ],
)
def test_the_command_is_told_from_a_users_process(script: str, words: list[str], expected: bool) -> None:
    assert is_command(script, words) == expected


def test_a_child_that_is_ended_does_not_end_the_command(tmp_path: Path) -> None:
    (tmp_path / "makes.py").write_text(
        "import multiprocessing, time, torch\n"
        "def make():\n"
        "    context = multiprocessing.get_context('fork')\n"
        "    child = context.Process(target=time.sleep, args=(60,))\n"
        "    child.start()\n"
        "    time.sleep(0.2)\n"
        "    child.terminate()\n"
        "    child.join(10)\n"
        "    assert child.exitcode == -15, child.exitcode\n"
        "    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)), torch.rand(2, 4)\n"
    )
    command = [sys.executable, "-m", "adascale", "inspect", "makes:make"]
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert "interrupted" not in done.stderr and done.returncode != 143, done.stderr
    assert "exitcode" not in done.stderr


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


@pytest.mark.parametrize("words", ["doctor", "list formats", "--help", "quantise"])
def test_a_reader_that_has_seen_enough_is_no_error(words: str) -> None:
    """`adascale doctor | true`, and with 2>&1; Python prints the doctor's table, C++ the rest."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        line = [sys.executable, "-m", "adascale", *words.split()]
        if words == "quantise":  # the message itself has no reader
            assert subprocess.run(line, stdout=closed, stderr=closed).returncode == 2
            return
        done = subprocess.run(line, stdout=closed, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")
