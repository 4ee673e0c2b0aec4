"""Batches added up for one step, by one process or by several that torchrun starts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import small_folders
import team_runs
import torch
from small_models import ConsecutiveBlocks, seed_loader
from torch import Tensor

import adascale
from adascale import _C

pytestmark = pytest.mark.usefixtures("kept_captures")

Add = Callable[[list[Tensor]], str | None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    torch.manual_seed(0)
    small_folders.llama_folder(folder / "llama")
    small_folders.write_text(folder / "text.txt")
    return folder


@pytest.fixture
def team_of_two() -> Iterator[Callable[[int, Add], None]]:
    """Makes this process one of two whose sums the test makes."""
    yield lambda rank, add: _C.set_team(rank, 2, add)
    _C.set_team(0, 1, None)


def torchrun(*command: str, **options: Any) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )


def run_to_the_end(process: subprocess.Popen[str]) -> str:
    """What it said. On failure only the end of that, where the traceback and the agent's verdict are."""
    try:
        said, _ = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.terminate()  # the agent ends its processes
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said[-6000:]
    return said


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Without the reports: each process tells the losses of its own batches."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    files.pop("report.json")
    files.pop("report.html")
    files.pop("README.md", None)
    return files


def test_two_processes_give_the_bytes_of_one(folder: Path, tmp_path: Path) -> None:
    script = str(Path(team_runs.__file__))
    said = run_to_the_end(torchrun(script, str(folder), str(tmp_path / "two")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        team_runs.run(folder, tmp_path / "one")
    finally:
        torch.set_num_threads(threads)
    for case in team_runs.CASES:
        one, two = bytes_in(tmp_path / "one" / case), bytes_in(tmp_path / "two" / case)
        assert one.keys() == two.keys(), case
        assert [name for name in one if one[name] != two[name]] == [], case
    assert said.count("the second process is late") == 1
    assert said.count("training  recipe fast, 6 iterations per block of 2 batches, shared among 2 proc") == 1
    assert re.search(r"2 processes train together; 0\.\d+ MB of gradients are added over all in an", said)


COMMAND = ["--samples", "16", "--seq-len", "16", "--batch-size", "2", "--accumulate", "2", "--param-bw", "4"]


def start_pair(port: int, *command: str) -> list[subprocess.Popen[str]]:
    """As torchrun starts them, without its agent, which would end the others itself."""
    pair = []
    for rank in ("0", "1"):
        group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **group, "MASTER_PORT": str(port)}
        pair.append(
            subprocess.Popen(
                [sys.executable, *command], env=environment, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    return pair


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.full
def test_a_process_that_dies_ends_the_other_and_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    def command(out: str, *more: str) -> list[str]:
        files = ["--data", str(folder / "text.txt"), "--output-dir", str(tmp_path / out)]
        return ["-m", "adascale", "quantize", str(folder / "llama"), *files, *COMMAND, *more]

    long = ("--iterations", "400")
    first, second = start_pair(free_port(), *command("killed", *long))
    checkpoint = tmp_path / "killed.checkpoint"
    deadline = time.monotonic() + 120
    while not (checkpoint / "block-00000.safetensors").exists():
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.05)
    second.kill()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 2, said
    (line,) = (line for line in said.splitlines() if "no exchange with the others" in line)
    assert line.startswith("adascale: error: process 0 of 2: ")
    assert "start all again, with --resume where blocks are finished" in line
    assert not (tmp_path / "killed").exists() or not list((tmp_path / "killed").iterdir())
    assert second.communicate()[0] == "", "the first process speaks"

    said = run_to_the_end(torchrun(*command("killed", *long, "--resume")))
    assert said.count("goes on behind 1 finished block") == 1
    whole = subprocess.run(
        [sys.executable, *command("whole", *long)], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert whole.returncode == 0
    assert bytes_in(tmp_path / "killed") == bytes_in(tmp_path / "whole")


def test_without_a_group_there_is_nobody_to_train_with() -> None:
    said = "torch.distributed has no group; call init_process_group"
    with pytest.raises(adascale.Error, match=said), adascale.together():
        pass


def simulate(model: torch.nn.Module, data: list[Tensor]) -> Any:
    return adascale.QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=32)


def train(model: torch.nn.Module, data: list[Tensor], **options: Any) -> Any:
    sim = simulate(model, data)
    options = {"num_iterations": 2, "precision": "float32", "progress": False, **options}
    return adascale.apply_adascale(sim, data, blocks=["linear_blocks.0"], **options)


def test_gradients_of_shares_are_those_of_the_undivided_batch(
    team_of_two: Callable[[int, Add], None],
) -> None:
    model = ConsecutiveBlocks(depth=2).eval()
    halves = [torch.randn(4, 64, 64, 64), torch.randn(4, 64, 64, 64)]
    whole = torch.cat(halves)

    def first_gradients(rank: int, data: list[Tensor]) -> list[Tensor]:
        """Those that this rank gives to the team, at equal start ranges: powers are set to one."""
        seen: list[list[Tensor]] = []

        def add(tensors: list[Tensor]) -> None:
            if len(tensors) > 1 and tensors[-1].dtype == torch.float64:  # powers, then what they count
                for tensor in tensors:
                    tensor.fill_(1)
            elif tensors[0].dim() > 1:
                seen.append([tensor.clone() for tensor in tensors[:-1]])
            elif tensors[0].dtype == torch.float64:  # facts and losses, by turns: the other's are alike
                tensors[0][1 - rank :: 2] = tensors[0][rank::2]

        team_of_two(rank, add)
        train(model, data, accumulate=2)
        return seen[0]

    shares = [first_gradients(rank, halves) for rank in (0, 1)]
    undivided = first_gradients(0, [whole, whole])
    for first, second, expected in zip(*shares, undivided, strict=True):
        assert (first + second - 2 * expected).norm() <= 1e-6 * (2 * expected).norm()


def test_one_process_adds_up_what_a_larger_batch_gives() -> None:
    """But for the order of sums, which may turn a step of a weight around."""
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    pairs = [torch.cat(data[i : i + 2]) for i in range(0, len(data), 2)]
    large, added = train(model, pairs, num_iterations=6), train(model, data, num_iterations=6, accumulate=2)
    assert added.blocks[0].loss_after == pytest.approx(large.blocks[0].loss_after, rel=0.02)
    assert added.blocks[0].loss_before == pytest.approx(large.blocks[0].loss_before, rel=1e-3)


def test_epochs_take_every_batch_once() -> None:
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    report = train(model, data, num_iterations=None, num_epochs=2, accumulate=2)
    assert report.blocks[0].iterations == 2 * -(-len(data) // 2)


def test_more_batches_in_a_step_than_there_are_is_refused() -> None:
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    said = rf"accumulate: got {len(data)}, but {len(data) - 1} batches are trained on"
    with pytest.raises(adascale.Error, match=said):
        train(model, data, accumulate=len(data), held_out_batches=1)


def test_shares_must_be_whole(team_of_two: Callable[[int, Add], None]) -> None:
    team_of_two(0, lambda tensors: None)
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()[:3]
    with pytest.raises(adascale.Error) as refusal:
        train(model, data, held_out_batches=1)
    text = str(refusal.value)
    for what, count in {
        "accumulate, held_out_batches": 1,
        "the number of calibration batches": 3,
    }.items():
        assert f"{what}: got {count} for 2 processes, expected a multiple of 2" in text


def test_a_model_in_parts_takes_one_process(team_of_two: Callable[[int, Add], None]) -> None:
    from live_models import Branchy, branchy_data

    team_of_two(0, lambda tensors: None)
    data = branchy_data()
    sim = simulate(Branchy().eval(), data)
    with pytest.raises(adascale.Error, match="trained by one process, got 2; start it without torchrun"):
        adascale.apply_adascale(sim, data, num_iterations=1, accumulate=2, progress=False)


def test_what_the_others_say_ends_the_training(team_of_two: Callable[[int, Add], None]) -> None:
    team_of_two(0, lambda tensors: "process 0 of 2: another process does not answer (gone)")
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    with pytest.raises(adascale.Error, match="another process does not answer"):
        train(model, data, accumulate=2)
