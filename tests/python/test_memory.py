"""The command's memory: the model's file, mapped, and one block's training. Codes are in the checkpoint."""

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


def start(
    model: Path, data: Path, limit: int | None, *more: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    def set_limit() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    command = [
        sys.executable,
        "-m",
        "adascale",
        "quantize",
        model.name if ":" in model.name else str(model),
        "--data",
        str(data),
        "--threads",
        "1",
    ]
    command += ["--output-dir", str(model.parent / f"out{limit}"), *(more or ("--iterations", "2"))]
    environment = {**os.environ, **(environment or {})}
    return subprocess.Popen(command, preexec_fn=set_limit, env=environment, text=True, stdout=-1, stderr=-1)


def peak_bytes(process: subprocess.Popen[str], field: str) -> int:
    """The largest value of a line of the process's status."""
    peak = 0
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                peak = max(peak, int(line.split()[1]) * 1024)
        time.sleep(0.005)
    return peak


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "calib.safetensors"
    save_file({"x": torch.rand(16, WIDTH)}, path)
    return path


# The limit counts addresses: each large tensor gets and returns its own, which the heap would keep.
OWN_ADDRESSES = {"MALLOC_MMAP_THRESHOLD_": "262144"}


@pytest.mark.full
def test_a_larger_model_takes_its_file_alone(data: Path, tmp_path: Path) -> None:
    few = start(make_model(tmp_path / "few.pt2", FEW), data, None, environment=OWN_ADDRESSES)
    base = peak_bytes(few, "VmData")  # private and writable: what RLIMIT_DATA limits
    assert few.returncode == 0, few.communicate()
    many, more = make_model(tmp_path / "many.pt2", MANY), (MANY - FEW) * BLOCK_BYTES
    enough = start(many, data, base + int(more * 1.1), environment=OWN_ADDRESSES)
    out, err = enough.communicate()
    assert enough.returncode == 0, err
    assert f"{MANY} blocks" in out
    # The limit has an effect: without room for the file it fails, in one line.
    too_little = start(many, data, base + int(more * 0.9), environment=OWN_ADDRESSES)
    _, err = too_little.communicate()
    assert too_little.returncode == 1
    assert "Traceback" not in err and len(err.strip().splitlines()[-1]) < 400


@pytest.mark.full
def test_more_batches_take_no_more_memory_than_they_may(tmp_path: Path) -> None:
    """Activations of 4 MiB a batch, none of which may stay in memory."""
    samples = 1024
    model = make_model(tmp_path / "model.pt2", 3)
    peaks = []
    for batches in (4, 40):
        data = tmp_path / f"{batches}.safetensors"
        save_file({"x": torch.rand(samples * batches, WIDTH)}, data)
        process = start(
            model, data, None, "--batch-size", str(samples), "--activation-memory", "0", "--recipe", "rtn"
        )
        peaks.append(peak_bytes(process, "RssAnon"))
        assert process.returncode == 0, process.communicate()
    assert peaks[1] - peaks[0] < 48 << 20, peaks


def test_a_larger_model_takes_no_more_memory_of_its_own(data: Path, tmp_path: Path) -> None:
    """Finished blocks leave memory: what the system cannot drop is flat in the depth. Codes alone would be
    84 MB more; short peaks differ by 20 MB from run to run."""
    peaks = []
    for blocks in (4, 44):
        process = start(make_model(tmp_path / f"{blocks}.pt2", blocks), data, None)
        peaks.append(peak_bytes(process, "RssAnon"))
        assert process.returncode == 0, process.communicate()
    assert peaks[1] - peaks[0] < 42 << 20, peaks


LIVE = """
import os
import torch
from torch import nn
from test_memory import WIDTH, Block

class Live(nn.Module):
    def __init__(self, blocks=3):
        super().__init__()
        self.table = nn.Embedding(16, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(blocks))

    def forward(self, x):
        x = self.table(x)
        if x.sum() > 1e9:  # no program of the whole
            x = -x
        for layer in self.layers:
            x = layer(x)
        return x

def live():
    torch.manual_seed(0)
    return Live().eval()

def mapped():
    with torch.device("meta"):
        model = Live(int(os.environ["BLOCKS"]))
    model.load_state_dict(torch.load(os.environ["WEIGHTS"], mmap=True), assign=True)
    return model.eval()
"""


def write_live(folder: Path) -> str:
    """Writes the module; what PYTHONPATH must be to find it."""
    (folder / "live_wide.py").write_text(LIVE)
    return os.pathsep.join([str(folder), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])


@pytest.mark.full
def test_nor_does_a_larger_model_in_parts(tmp_path: Path) -> None:
    """New weights and codes would be 420 MB more."""
    paths, peaks, file = write_live(tmp_path), [], tmp_path / "weights.pt"
    data = tmp_path / "calib.safetensors"
    save_file({"x": torch.randint(16, (16,))}, data)
    for blocks in (4, 44):
        layers = {
            f"layers.{i}.{name}": value for i in range(blocks) for name, value in Block().state_dict().items()
        }
        torch.save({"table.weight": torch.rand(16, WIDTH), **layers}, file)
        process = start(
            tmp_path / "live_wide:mapped", data, None, "--iterations", "2",
            environment={"PYTHONPATH": paths, "BLOCKS": str(blocks), "WEIGHTS": str(file)},
        )  # fmt: skip
        peaks.append(peak_bytes(process, "RssAnon"))
        assert process.returncode == 0, process.communicate()
    assert peaks[1] - peaks[0] < 42 << 20, peaks


@pytest.mark.full
def test_nor_do_more_batches_of_a_model_in_parts(tmp_path: Path) -> None:
    """Activations of 4 MiB a batch, of which five tensors would wait."""
    paths, samples = write_live(tmp_path), 1024
    peaks = []
    for batches in (4, 28):
        data = tmp_path / f"{batches}.safetensors"
        save_file({"x": torch.randint(16, (samples * batches,))}, data)
        process = start(
            tmp_path / "live_wide:live", data, None, "--batch-size", str(samples), "--activation-memory", "0",
            "--recipe", "rtn", environment={"PYTHONPATH": paths},
        )  # fmt: skip
        peaks.append(peak_bytes(process, "RssAnon"))
        assert process.returncode == 0, process.communicate()
    assert peaks[1] - peaks[0] < 48 << 20, peaks
