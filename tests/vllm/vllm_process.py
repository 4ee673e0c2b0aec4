"""Starts vLLM in the environment of its own that scripts/vllm makes."""

import os
import subprocess
from pathlib import Path

BUILD = Path(__file__).parents[2] / "build" / "vllm"


def run_vllm(package: str, script: str, *arguments: str | Path) -> str:
    """The text that a script of this folder prints; ``package`` is build/vllm's folder of the vLLM to use."""
    done = subprocess.run(
        [BUILD / "venv" / "bin" / "python", Path(__file__).with_name(script), *arguments],
        env=os.environ | {"PYTHONPATH": str(BUILD / package)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
