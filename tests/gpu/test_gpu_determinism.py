"""deterministic=True: the same seed gives the same bytes, in one process and in the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
KINDS = ["llama", "convolutions", "recurrent"]


def run(device: torch.device, kind: str, how: str, workspace: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    folders = [str(HERE.parent / "device"), str(HERE.parent / "python"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    if workspace:
        environment["CUBLAS_WORKSPACE_CONFIG"] = workspace
    line = [sys.executable, str(HERE / "digest.py"), device.type, kind, how]
    return subprocess.run(line, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes(device: torch.device, kind: str) -> None:
    if kind == "llama":
        pytest.importorskip("transformers")
    digests = set()
    for _ in range(2):
        done = run(device, kind, "deterministic", ":4096:8")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert not told["still deterministic"]
        digests.update(told["digests"])
    assert len(digests) == 1


@pytest.mark.cuda_alone("only cuBLAS asks for CUBLAS_WORKSPACE_CONFIG")
def test_cublas_without_its_workspace_is_refused(device: torch.device) -> None:
    done = run(device, "convolutions", "deterministic")
    assert done.returncode == 1
    assert "refused: deterministic: CUBLAS_WORKSPACE_CONFIG: got '', expected :4096:8 or :16:8" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_without_it_the_losses_are_close(device: torch.device, kind: str) -> None:
    """The test only reports whether the bytes are the same: `pytest -s` shows it."""
    if kind == "llama":
        pytest.importorskip("transformers")
    done = run(device, kind, "plain")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"{kind}: {len(set(told['digests']))} results of 2 runs, {told['seconds']:.2f} s")
