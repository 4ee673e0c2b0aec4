"""Runs that are interrupted, and go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_command import run
from small_folders import SIZES, llama_folder, save_folder, write_text
from small_models import ConsecutiveBlocks
from torture import files_of, torture
from transformers import LlamaConfig, LlamaForCausalLM

import adascale
from adascale import Error

pytestmark = pytest.mark.usefixtures("kept_captures")

OPTIONS: dict[str, Any] = {"iterations": 3, "samples": 6, "seq_len": 16, "batch_size": 2, "progress": False}


class Stop(Exception):
    pass


def words_of(folder: Path, text: Path, iterations: int = 3) -> list[str]:
    options = f"--iterations {iterations} --samples 6 --seq-len 16 --batch-size 2 --threads 1"
    return [str(folder), "--data", str(text), *options.split()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return llama_folder(tmp_path / "model")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return write_text(tmp_path / "text.txt")


def dry_run(*command: Any) -> str:
    done = run(*command, "--dry-run")
    assert done.returncode == 0, done.stderr
    return done.stdout


def stop_in_block(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The next run is stopped by its progress bar."""

    def shown(self: Any, stage: str, *_: Any) -> None:
        if stage.startswith(f"block {number}/"):
            raise Stop

    monkeypatch.setattr(
        adascale.progress.Progress, "__enter__", lambda self: lambda *event: shown(self, *event)
    )


def test_quantize_goes_on_and_removes_its_checkpoint(
    folder: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole, out, kept = tmp_path / "whole", tmp_path / "out", tmp_path / "out.checkpoint"
    adascale.quantize(folder, whole, text, **OPTIONS)
    assert not (tmp_path / "whole.checkpoint").exists()
    with monkeypatch.context() as patch, pytest.raises(Stop):
        stop_in_block(patch, 2)
        adascale.quantize(folder, out, text, **OPTIONS)
    assert sorted(path.name for path in kept.glob("block*")) == ["block-00000.safetensors"]
    assert not out.exists() or not list(out.iterdir())
    with pytest.raises(
        Error, match=r"out\.checkpoint: holds 1 finished block of an interrupted run; go on with resume=True"
    ):
        adascale.quantize(folder, out, text, **OPTIONS)
    with pytest.raises(Error, match=r"out\.checkpoint: seed: got 1, but the interrupted run had 0"):
        adascale.quantize(folder, out, text, **OPTIONS, resume=True, seed=1)
    command = ["quantize", *words_of(folder, text), "--resume", "--output-dir", out]
    for changed, said in (
        (["--param-bw", "3"], "--param-bw: got 3, but the interrupted run had 4"),
        (["--param-bw", "8"], "--param-bw: got 8, but the interrupted run had 4"),  # and trains in fp32
        (["--scheme", "post_training_percentile"], "--scheme: got post_training_percentile, but"),
        (["--seed", "1", "--dry-run"], "--seed: got 1, but the interrupted run had 0"),
        (["--recipe", "aimet", "--dry-run"], "--recipe: got aimet, but the interrupted run had fast"),
    ):
        done = run(*command, *changed)
        assert done.returncode == 2 and "goes on" not in done.stdout
        assert done.stderr.splitlines()[-1].startswith(f"adascale: error: {kept}: {said}"), done.stderr
        assert done.stderr.count("the interrupted run had") == 1
    planned = dry_run(*command)
    assert "; goes on behind 1 of them" in planned
    assert " in all blocks, the finished ones too, an estimate" in planned
    block = kept / "block-00000.safetensors"
    whole_block = block.read_bytes()
    block.write_bytes(whole_block[:-1])
    planned = dry_run(*command)
    assert "goes on behind" not in planned and " in all blocks, an estimate" in planned
    block.write_bytes(whole_block)
    deeper = LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_hidden_layers": 3}))
    other = save_folder(deeper, tmp_path / "other")
    with pytest.raises(
        Error, match=r"out\.checkpoint: model: got .*other, but the interrupted run had"
    ) as refused:
        adascale.quantize(other, out, text, **OPTIONS, resume=True)
    assert str(refused.value).count("the interrupted run had") == 1
    adascale.quantize(folder, out, text, **OPTIONS, resume=True)
    assert "goes on behind 1 finished block" in caplog.text
    assert files_of(out) == files_of(whole)
    assert not kept.exists()


def test_nothing_is_kept_where_none_is_asked_for(folder: Path, text: Path, tmp_path: Path) -> None:
    adascale.quantize(folder, tmp_path / "out", text, **OPTIONS, checkpoint_dir="none")
    assert not (tmp_path / "none").exists()


def test_apply_adascale_goes_on(tmp_path: Path) -> None:
    data = [torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(i)) for i in range(3)]

    def train(stop: bool = False, **options: Any) -> list[torch.Tensor]:
        torch.manual_seed(0)
        sim = adascale.QuantizationSimModel(ConsecutiveBlocks(width=16).eval(), data[0], default_param_bw=3)
        with pytest.MonkeyPatch.context() as patch:
            if stop:
                stop_in_block(patch, 2)
            adascale.apply_adascale(sim, data, num_iterations=5, progress=False, **options)
        return [tensor.clone() for tensor in sim.model.state_dict().values()]

    whole = train()
    with pytest.raises(Stop):
        train(stop=True, checkpoint_dir=tmp_path / "kept")
    resumed = train(checkpoint_dir=tmp_path / "kept", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
    assert (tmp_path / "kept").exists(), "the simulation is not exported yet"


def start(words: list[str], out: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "ignore", "-m", "adascale", "quantize", *words, "--output-dir", str(out)]

    def heed_ctrl_c() -> None:
        """Tests that run in the background are told to ignore it."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with log.open("w") as file:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file, preexec_fn=heed_ctrl_c)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_and_says_how_to_go_on(
    number: signal.Signals, code: int, folder: Path, text: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    process = start(words_of(folder, text, iterations=100000), out, log)
    while not (tmp_path / "out.checkpoint" / "run.json").exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == code
    assert time.monotonic() - begin < 2
    assert log.read_text().splitlines()[-1] == (
        f"adascale: interrupted; finished blocks, if any, are in {out}.checkpoint: "
        "the same command with --resume goes on"
    )
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [1, 2, 4])
def test_a_signal_ends_the_command_in_one_line_from_its_start(
    number: signal.Signals, seconds: float, folder: Path, text: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    process = start(words_of(folder, text, iterations=100000), out, log)
    time.sleep(seconds)
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    said = log.read_text().splitlines()
    assert said[-1].startswith("adascale: interrupted; ") and "Traceback" not in log.read_text()


def test_ctrl_c_is_pythons_own_exception(folder: Path, text: Path, tmp_path: Path) -> None:
    script = (
        "import adascale, sys, threading, os, signal, time\n"
        "def later():\n"
        "    time.sleep(1)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "folder, out, text = sys.argv[1:]\n"
        # A test run in the background has the signal ignored, and Python leaves it so.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "threading.Thread(target=later).start()\n"
        "try:\n"
        "    few = dict(samples=6, seq_len=16, batch_size=2, progress=False)\n"
        "    adascale.quantize(folder, out, text, iterations=1000000, **few)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)\n"
    )
    arguments = [str(folder), str(tmp_path / "out"), str(text)]
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr


@pytest.mark.full
def test_kills_change_nothing(folder: Path, text: Path, tmp_path: Path) -> None:
    outcome = torture(words_of(folder, text), tmp_path / "work", kills=5, seed=0)
    assert outcome.kills == 5
    assert not outcome.unequal


def test_a_folder_that_cannot_be_written_is_refused_at_once(folder: Path, text: Path, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(Error, match=rf"{place}/kept: the folder cannot be made: Not a directory"):
        adascale.quantize(folder, tmp_path / "out", text, **OPTIONS, checkpoint_dir=place / "kept")
    assert os.listdir(tmp_path / "out") == [] if (tmp_path / "out").exists() else True
