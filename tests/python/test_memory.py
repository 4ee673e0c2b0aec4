"""The command's memory: the model's file once, its codes, one block's training; never a second copy."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

WIDTH = 1024
BLOCK_BYTES = 2 * 4 * WIDTH * WIDTH  # of weights in FP32
FEW, MANY = 4, 24
CODES = 0.25  # of the weights: one byte each


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(WIDTH, WIDTH)
        self.fc2 = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(torch.relu(self.fc1(x)))


def make_model(path: Path, blocks: int) -> Path:
    model = nn.Sequential(*(Block() for _ in range(blocks))).eval()
    batch = {0: torch.export.Dim.AUTO}
    torch.export.save(
        torch.export.export(model, (torch.rand(2, WIDTH),), dynamic_shapes=(batch,), strict=False), path
    )
    return path


def start(model: Path, data: Path, limit: int | None) -> subprocess.Popen[str]:
    def set_limit() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    command = [
        sys.executable,
        "-m",
        "adascale",
        "quantize",
        str(model),
        "--data",
        str(data),
        "--threads",
        "1",
    ]
    command += ["--iterations", "2", "--output-dir", str(model.parent / f"out{limit}")]
    # The limit counts addresses: each large tensor gets and returns its own, which the heap would keep.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144"}
    return subprocess.Popen(command, preexec_fn=set_limit, env=environment, text=True, stdout=-1, stderr=-1)


def peak_data_bytes(process: subprocess.Popen[str]) -> int:
    """The most private writable memory of the process, which RLIMIT_DATA limits."""
    peak = 0
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmData:"):
                peak = max(peak, int(line.split()[1]) * 1024)
        time.sleep(0.005)
    return peak


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "calib.safetensors"
    save_file({"x": torch.rand(16, WIDTH)}, path)
    return path


def test_a_larger_model_takes_its_file_and_its_codes(data: Path, tmp_path: Path) -> None:
    few = start(make_model(tmp_path / "few.pt2", FEW), data, limit=None)
    base = peak_data_bytes(few)
    assert few.returncode == 0, few.communicate()
    many, more = make_model(tmp_path / "many.pt2", MANY), (MANY - FEW) * BLOCK_BYTES
    enough = start(many, data, limit=base + int(more * (1 + CODES + 0.2)))
    out, err = enough.communicate()
    assert enough.returncode == 0, err
    assert f"{MANY} blocks" in out
    # The limit has an effect: without room for the codes it fails, in one line.
    too_little = start(many, data, limit=base + int(more * (1 + CODES / 2)))
    _, err = too_little.communicate()
    assert too_little.returncode == 1
    assert "Traceback" not in err and len(err.strip().splitlines()[-1]) < 400
