"""How a run shows that it is alive, and stops."""

import os
import pty
import signal
import sys
import threading

import pytest
import torch
from adascale.progress import Progress
from small_models import ConsecutiveBlocks, seed_loader, seed_sim

from adascale import apply_adascale


def run_some() -> None:
    loader = seed_loader(16)
    apply_adascale(seed_sim(ConsecutiveBlocks(16, 2).eval(), loader[0]), loader)


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run_some()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("block 1/2 linear_blocks.0  4/4  loss ")
    assert lines[1].endswith("s left") and "\r" not in "".join(lines)


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        run_some()
        print("end", file=terminal, flush=True)
        text = ""
        while "end" not in text:  # a terminal passes on partial output
            text += os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "\r" in text and "block 2/2 linear_blocks.1" in text and "loss" in text and "4/4" in text


def test_silence() -> None:
    with Progress(False) as show:
        assert show is None


def test_ctrl_c_stops_training() -> None:
    # A test run in the background (nohup) has the signal ignored, and Python leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    loader = seed_loader(16)
    sim = seed_sim(ConsecutiveBlocks(16, 3).eval(), loader[0])
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        apply_adascale(sim, loader, num_iterations=1_000_000, progress=False)
    timer.join()
    signal.signal(signal.SIGINT, before)
    assert torch.isfinite(sim.model(loader[0])).all()
