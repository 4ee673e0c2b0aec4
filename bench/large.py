"""Runs of models that do not fit: peak memory of the command's own, and its time.

Weights are random, the same in each layer and expert, in bf16 shards as transformers writes them. Peak
memory is RssAnon + RssShmem of the process, sampled: what the system cannot drop. Mapped weights are not in
it.

    python bench/large.py flat              # 8, 16 and 32 layers of hidden size 1,024
    python bench/large.py parts             # the first two of a model that is quantized block by block
    python bench/large.py whole             # 32 layers of hidden size 4,096: 16 GB on the disk
    python bench/large.py pair              # two layers of hidden size 8,192, a 70B's
    python bench/large.py sparse            # --dry-run of all 80, whose files are holes
    python bench/large.py budget            # the same for a whole budget on a GPU: 128 x 2,048 tokens
    python bench/large.py plan --layers 80  # --dry-run and inspect alone
    python bench/large.py team              # 4 layers of hidden size 1,024 by one process and by two
    python bench/large.py experts           # two layers of Qwen3-30B-A3B's shape, 1.2 G weights
    python bench/large.py contexts          # rows of 512, 2,048 and 4,096 tokens
    python bench/large.py masks             # what a batch of 2 x 2,048 tokens adds
    python bench/large.py text              # 540 MB of calibration text
    python bench/large.py nodes             # a program of 100,000 operators
    python bench/large.py evaluate          # 8 x 512 tokens of a vocabulary of 128,256
    python bench/large.py head              # the same with a head that is trained, and its temporary file
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from large_models import (
    LLAMA_8B,
    LLAMA_70B,
    QWEN3_30B,
    SMALL,
    WIDE,
    Chain,
    make_folder,
    tokens,
)
from machine import describe_commit, describe_machine
from safetensors.torch import save_file


def run(
    *arguments: str,
    launcher: tuple[str, ...] = (),
    threads: str | None = None,
    watch: Callable[[int], None] | None = None,
) -> tuple[float, float, str]:
    """Seconds, peak in GiB of the process started, and what the command printed.

    ``watch`` is called with the process's number, as often as its memory is sampled.
    """
    start = time.monotonic()
    command = [sys.executable, *launcher, "-m", "adascale", *arguments]
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _own_kib(process.pid))
            if watch is not None:
                watch(process.pid)
            time.sleep(0.02)
        said.seek(0)
        text = said.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}\n{text}")
    return time.monotonic() - start, peak / 2**20, text


def _own_kib(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


class Scratch:
    """The largest size of a process's unnamed files, in GiB."""

    def __init__(self) -> None:
        self.gib = 0.0

    def __call__(self, process: int) -> None:
        try:
            for file in Path(f"/proc/{process}/fd").iterdir():
                if "/adascale-" in str(file.readlink()):
                    self.gib = max(self.gib, file.stat().st_size / 2**30)
        except OSError:  # the process, or the file, is gone
            return


def show(name: str, seconds: float, gib: float) -> None:
    print(f"{name:40} {seconds:8.1f} s {gib:7.2f} GiB", flush=True)


def show_blocks(text: str) -> None:
    """The seconds that a run printed for its blocks."""
    print(f"{'of these in the blocks':40} {_training_seconds(text):8.1f} s", flush=True)


def _training_seconds(text: str) -> float:
    return sum(map(float, re.findall(r" iterations, ([0-9.]+) s\b", text)))


def quantize(
    model: Path | str,
    work: Path,
    vocabulary: int,
    *more: str,
    samples: int = 2,
    length: int = 256,
    iterations: int = 2,
    to: str = "compressed-tensors",
    **launch: Any,
) -> tuple[float, float, str]:
    data = tokens(work / "tokens.safetensors", samples, length, vocabulary)
    arguments = [
        "quantize",
        str(model),
        "--data",
        str(data),
        "--output-dir",
        str(work / f"out-{Path(model).name}"),
        "--batch-size",
        "1",
    ]
    arguments += ["--param-bw", "4", "--group-size", "128", "--format", to]
    return run(*arguments, "--iterations", str(iterations), *more, **launch)


def flat(work: Path, _layers: int) -> None:
    for layers in (8, 16, 32):
        model = make_folder(work / f"small-{layers}", SMALL, layers)
        show(f"{layers} layers of {SMALL.hidden}", *quantize(model, work, SMALL.vocabulary)[:2])


def parts(work: Path, _layers: int) -> None:
    _let_import_models()
    for layers in (8, 16):
        os.environ["LARGE_FOLDER"] = str(make_folder(work / f"small-{layers}", SMALL, layers))
        more: dict[str, Any] = {"samples": 2, "length": 256, "to": "safetensors"}
        show(
            f"{layers} layers of {SMALL.hidden} in parts",
            *quantize("large_models:branching", work, SMALL.vocabulary, **more)[:2],
        )


def _let_import_models() -> None:
    """Lets the command find functions of large_models."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])


def whole(work: Path, layers: int) -> None:
    """With the time that a dry run estimates for the blocks."""
    model = make_folder(work / f"llama-8b-{layers}", LLAMA_8B, layers)
    planned = quantize(model, work, LLAMA_8B.vocabulary, "--dry-run")[2]
    print(next(line for line in planned.splitlines() if line.startswith("time ")))
    seconds, gib, text = quantize(model, work, LLAMA_8B.vocabulary)
    print(text[-3000:])
    show(f"Llama 3 8B's shape, {layers} layers", seconds, gib)
    show_blocks(text)


def pair(work: Path, _layers: int) -> None:
    model = make_folder(work / "llama-70b-2", LLAMA_70B, 2)
    show("two layers of Llama 3 70B's shape", *quantize(model, work, LLAMA_70B.vocabulary)[:2])


def sparse(work: Path, _layers: int) -> None:
    """140 GB of holes: a plan alone."""
    model = make_folder(work / "llama-70b", LLAMA_70B, 80, sparse=True)
    data = {"samples": 128, "length": 2048, "iterations": 200}
    seconds, gib, text = quantize(model, work, LLAMA_70B.vocabulary, "--dry-run", **data)
    print("\n".join(line for line in text.splitlines() if not line.startswith("note")))
    show("--dry-run of Llama 3 70B's shape, 80 layers", seconds, gib)
    show("inspect", *run("inspect", str(model))[:2])


def budget(work: Path, layers: int) -> None:
    """One sample an iteration, 200 iterations; the stages' times are in the report."""
    model = make_folder(work / f"llama-8b-{layers}", LLAMA_8B, layers)
    seconds, gib, text = quantize(
        model, work, LLAMA_8B.vocabulary, "--device", "cuda", samples=128, length=2048, iterations=200
    )
    print(text[-3000:])
    show(f"Llama 3 8B's shape, {layers} layers, 200 x 2,048", seconds, gib)


def team(work: Path, _layers: int) -> None:
    """The same steps of two batches by one process of two threads and by two of one."""
    model = make_folder(work / "small-4", SMALL, 4)
    size: dict[str, Any] = {"samples": 8, "iterations": 40}
    common = (model, work, SMALL.vocabulary, "--accumulate", "2")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
    _, gib, text = quantize(*common, **size, threads="2")
    show("one process of two threads", _training_seconds(text), gib)
    _, _, text = quantize(*common, **size, threads="1", launcher=launcher)
    print(next(line for line in text.splitlines() if "train together" in line))
    print(f"{'two processes of one thread':40} {_training_seconds(text):8.1f} s")


def plan(work: Path, layers: int) -> None:
    model = make_folder(work / f"small-{layers}", SMALL, layers)
    imports = run("--version")[0]
    seconds, gib, _ = quantize(model, work, SMALL.vocabulary, "--dry-run")
    show(f"--dry-run, {layers} layers", seconds, gib)
    show(f"inspect, {layers} layers", *run("inspect", str(model))[:2])
    print(f"of these, the program's own start took {imports:.1f} s")


def experts(work: Path, _layers: int) -> None:
    model = make_folder(work / "experts", QWEN3_30B, 2)
    seconds, gib, text = quantize(model, work, QWEN3_30B.vocabulary, length=512, to="hf")
    print(text)
    show("two layers of 128 experts, 1 x 512 tokens", seconds, gib)


def contexts(work: Path, _layers: int) -> None:
    """Long rows: activations beyond 64 MiB wait in a file."""
    model = make_folder(work / "small-4", SMALL, 4)
    for length in (512, 2048, 4096):
        more = ("--activation-memory", "64")
        size: dict[str, Any] = {"samples": 16384 // length, "length": length}
        show(
            f"four layers of {SMALL.hidden}, rows of {length}",
            *quantize(model, work, 8192, *more, **size)[:2],
        )


def masks(work: Path, _layers: int) -> None:
    """What a batch of 2 x 2,048 tokens adds where no activation may stay in memory."""
    _let_import_models()
    for attention in ("sdpa", "eager"):
        few, many = (
            run(
                *(
                    "quantize",
                    f"large_models:{attention}",
                    "--output-dir",
                    str(work / "masks-out"),
                    "--batch-size",
                    "2",
                ),
                *("--data", str(tokens(work / f"masks-{batches}.safetensors", 2 * batches, 2048, 512))),
                *(
                    "--param-bw",
                    "4",
                    "--activation-memory",
                    "0",
                    "--recipe",
                    "rtn",
                    "--format",
                    "safetensors",
                ),
            )[1]
            for batches in (16, 64)
        )
        print(f"a batch of 2 x 2,048 tokens, {attention}: {(many - few) / 48 * 1024:.2f} MiB")


def text(work: Path, _layers: int) -> None:
    """540 MB of text for 128 rows of 512 tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model = make_folder(work / "small-4", SMALL, 4)
    vocabulary = {chr(256 + code) if code < 33 else chr(code): code for code in range(256)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(model)
    line = "".join(f"{number} words of a long line about nothing. " for number in range(1000)) + "\n"
    with (work / "long.txt").open("w") as file:
        while file.tell() < 540_000_000:
            file.write(line)
    options = ("--samples", "128", "--seq-len", "512", "--param-bw", "4", "--output-dir", str(work / "out"))
    for name in ("long.txt", "short.txt"):
        (work / "short.txt").write_text(line * 4)
        show(
            f"--dry-run, {name}",
            *run("quantize", str(model), "--data", str(work / name), *options, "--dry-run")[:2],
        )


def nodes(work: Path, _layers: int) -> None:
    """Blocks of 250 operators; beside them nothing may grow faster than their number."""
    save_file({"x": torch.rand(8, 16)}, work / "nodes.safetensors")
    for blocks in (100, 400):
        path = work / f"nodes-{blocks}.pt2"
        if not path.exists():
            model = torch.nn.Sequential(*(Chain() for _ in range(blocks))).eval()
            batch = {0: torch.export.Dim.AUTO}
            program = torch.export.export(model, (torch.rand(2, 16),), dynamic_shapes=(batch,), strict=False)
            torch.export.save(program, path)
        common = ("--data", str(work / "nodes.safetensors"), "--output-dir", str(work / "nodes-out"))
        options = ("--format", "safetensors", "--iterations", "1", "--param-bw", "4")
        show(f"{blocks} blocks of 250 operators", *run("quantize", str(path), *common, *options)[:2])


def evaluate(work: Path, _layers: int) -> None:
    model = make_folder(work / "wide", WIDE, 2)
    data = tokens(work / "wide.safetensors", 8, 512, WIDE.vocabulary)
    made = ["--output-dir", str(work / "wide-out"), "--param-bw", "4", "--format", "hf", "--recipe", "rtn"]
    run("quantize", str(model), "--data", str(data), "--batch-size", "1", *made)
    seconds, gib, text = run("evaluate", str(model), str(work / "wide-out"), "--data", str(data))
    print(text)
    show("evaluate, 8 x 512 tokens of 128,256", seconds, gib)


def head(work: Path, _layers: int) -> None:
    model, scratch = make_folder(work / "wide", WIDE, 2), Scratch()
    more = ("--train-outside", "--outside-bw", "4", "--activation-memory", "64")
    size: dict[str, Any] = {"samples": 8, "length": 512, "iterations": 4, "to": "hf", "watch": scratch}
    show("head of 128,256 words, trained", *quantize(model, work, WIDE.vocabulary, *more, **size)[:2])
    print(f"temporary file: {scratch.gib:.2f} GiB")


ROWS = {
    "flat": flat,
    "parts": parts,
    "whole": whole,
    "pair": pair,
    "sparse": sparse,
    "budget": budget,
    "plan": plan,
    "team": team,
    "experts": experts,
    "contexts": contexts,
    "masks": masks,
    "text": text,
    "nodes": nodes,
    "evaluate": evaluate,
    "head": head,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="+", choices=ROWS)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument(
        "--work", type=Path, default=Path("build/large"), help="where folders are made and kept"
    )
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    print(json.dumps({"commit": describe_commit(Path(__file__).parent), **describe_machine()}))
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    for row in arguments.rows:
        ROWS[row](arguments.work, arguments.layers)


if __name__ == "__main__":
    main()
