"""The command without Python loads torch's CUDA library where a run's device is CUDA, and nowhere else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch

import adascale

COMMAND = Path(adascale.__file__).parent / "bin" / "adascale"
IS_CUDA_BUILD = (Path(torch.__file__).parent / "lib" / "libtorch_cuda.so").exists()
NO_CUDA_BUILD = "this torch is built for the CPU alone: install its CUDA build"
DRIVER = "int cuInit(unsigned flags) { return 0; } int cuDeviceGetCount(int* count) { *count = 1; return 0; }"

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA: tests/gpu")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 8)).eval()
    shapes = ({0: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(model, (torch.rand(2, 8),), dynamic_shapes=shapes), path)
    return path


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """A folder with a driver that reports one GPU and does nothing else."""
    source = tmp_path / "driver.c"
    source.write_text(DRIVER)
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", tmp_path / "libcuda.so.1"], check=True)
    return tmp_path


def inspect(program: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "inspect", program, *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_driver_there_is_no_cuda(program: Path) -> None:
    ran = inspect(program, "--device", "cuda")
    assert ran.returncode == 2
    cure = "CUDA's driver finds no GPU: see what nvidia-smi says" if IS_CUDA_BUILD else NO_CUDA_BUILD
    assert ran.stderr == f"adascale: error: --device: got 'cuda', expected auto or one of cpu; {cure}\n"


def test_a_driver_is_used_by_a_torch_that_can(program: Path, driver: Path) -> None:
    ran = inspect(program, "--device", "cuda", LD_LIBRARY_PATH=str(driver), LD_DEBUG="files")
    assert ran.returncode == 2
    if IS_CUDA_BUILD:
        assert "libtorch_cuda.so" in ran.stderr, "loaded, and then it found no GPU"
        assert (
            "adascale: error: --device: cuda cannot be used: Found no NVIDIA driver on your system."
            in ran.stderr
        )
    else:
        assert (
            f"adascale: error: --device: got 'cuda', expected auto or one of cpu; {NO_CUDA_BUILD}\n"
            in ran.stderr
        )


def test_a_run_on_the_cpu_never_loads_it(program: Path, driver: Path) -> None:
    ran = inspect(program, "--device", "cpu", LD_LIBRARY_PATH=str(driver), LD_DEBUG="files")
    assert ran.returncode == 0
    assert "libtorch_cpu.so" in ran.stderr and "libtorch_cuda.so" not in ran.stderr
