"""Runs of models that do not fit: peak memory of the command's own, and its time.

Weights are random, the same in each layer and expert, in bf16 shards as transformers writes them. Peak
memory is RssAnon + RssShmem of the process, sampled: what the system cannot drop. Mapped weights are not in
it.

    python bench/large.py flat              # 8, 16 and 32 layers of hidden size 1,024
    python bench/large.py whole             # 32 layers of hidden size 4,096: 16 GB on the disk
    python bench/large.py pair              # two layers of hidden size 8,192, a 70B's
    python bench/large.py sparse            # --dry-run of all 80, whose files are holes
    python bench/large.py budget            # the same for a whole budget on a GPU: 128 x 2,048 tokens
    python bench/large.py plan --layers 80  # --dry-run and inspect alone
    python bench/large.py team              # 4 layers of hidden size 1,024 by one process and by two
    python bench/large.py experts           # two layers of Qwen3-30B-A3B's shape, 1.2 G weights
    python bench/large.py evaluate          # 8 x 512 tokens of a vocabulary of 128,256
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from machine import describe_commit, describe_machine
from safetensors.torch import save_file

SHARD_BYTES = 4 << 30


@dataclass(frozen=True)
class Shape:
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    head: int = 128
    experts: int = 0  # of which each token takes 8

    def layer(self) -> dict[str, tuple[int, ...]]:
        """The sizes of a layer's weights, by their names in it."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        sizes: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (queries, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, queries),
            "input_layernorm": (self.hidden,),
            "post_attention_layernorm": (self.hidden,),
        }
        mlp = {
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }
        if not self.experts:
            return sizes | {f"mlp.{name}": size for name, size in mlp.items()}
        sizes |= {"mlp.gate": (self.experts, self.hidden)}
        sizes |= {"self_attn.q_norm": (self.head,), "self_attn.k_norm": (self.head,)}
        for expert in range(self.experts):
            sizes |= {f"mlp.experts.{expert}.{name}": size for name, size in mlp.items()}
        return sizes

    def model(self, layers: int) -> dict[str, tuple[int, ...]]:
        sizes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        for index in range(layers):
            sizes |= {f"model.layers.{index}.{name}.weight": size for name, size in self.layer().items()}
        return sizes | {"model.norm.weight": (self.hidden,), "lm_head.weight": (self.vocabulary, self.hidden)}

    def config(self, layers: int) -> dict[str, object]:
        config: dict[str, object] = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head,
            "num_hidden_layers": layers,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        }
        if self.experts:
            config |= {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}
            config |= {"num_experts": self.experts, "num_experts_per_tok": 8}
            config |= {"moe_intermediate_size": self.intermediate, "norm_topk_prob": True}
        return config


def random(size: tuple[int, ...]) -> torch.Tensor:
    """Ones for a norm."""
    made = torch.empty(size, dtype=torch.bfloat16)
    return made.normal_(std=0.02) if len(size) > 1 else made.fill_(1)


LLAMA_8B = Shape(4096, 14336, 32, 8, 128256)
LLAMA_70B = Shape(8192, 28672, 64, 8, 128256)
SMALL = Shape(1024, 3584, 16, 8, 8192, head=64)
WIDE = Shape(256, 512, 4, 4, 128256, head=64)
QWEN3_30B = Shape(2048, 768, 32, 4, 8192, experts=128)


def make_folder(folder: Path, shape: Shape, layers: int, sparse: bool = False) -> Path:
    """A model of random weights, the same in each layer, made once. `sparse`: of zeros that take no disk."""
    stamp = folder / "made.json"
    wanted = {"shape": vars(shape), "layers": layers, "sparse": sparse}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    sizes = shape.model(layers)
    shards = _cut_shards(sizes)
    places = {}
    made: dict[str, torch.Tensor] = {}
    for index, names in enumerate(shards, 1):
        file = f"model-{index:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys(names, file)
        if sparse:
            _write_sparse(folder / file, {name: sizes[name] for name in names})
            continue
        for name in names:
            made.setdefault(_kind(name), random(sizes[name]))
        # Layers share their tensors here, which save_file refuses.
        save_file(
            {name: made[_kind(name)].clone() for name in names}, folder / file, metadata={"format": "pt"}
        )
    total = sum(_bytes(size) for size in sizes.values())
    document = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document))
    (folder / "config.json").write_text(json.dumps(shape.config(layers), indent=1))
    stamp.write_text(json.dumps(wanted))
    return folder


def _bytes(size: tuple[int, ...]) -> int:
    return 2 * math.prod(size)


def _kind(name: str) -> str:
    """What the tensors of all layers, and of all experts, have in common."""
    return ".".join(part for part in name.split(".") if not part.isdigit())


def _cut_shards(sizes: dict[str, tuple[int, ...]]) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + _bytes(size) > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += _bytes(size)
    return shards


def _write_sparse(path: Path, sizes: dict[str, tuple[int, ...]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in sizes.items():
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [end, end + _bytes(size)]}
        end += _bytes(size)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def tokens(path: Path, samples: int, length: int, vocabulary: int) -> Path:
    torch.manual_seed(1)
    save_file({"input_ids": torch.randint(vocabulary, (samples, length))}, path)
    return path


def run(
    *arguments: str, launcher: tuple[str, ...] = (), threads: str | None = None
) -> tuple[float, float, str]:
    """Seconds, peak in GiB of the process started, and what the command printed."""
    start = time.monotonic()
    command = [sys.executable, *launcher, "-m", "adascale", *arguments]
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _own_kib(process.pid))
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


def show(name: str, seconds: float, gib: float) -> None:
    print(f"{name:40} {seconds:8.1f} s {gib:7.2f} GiB", flush=True)


def quantize(
    model: Path,
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
        str(work / "out"),
        "--batch-size",
        "1",
    ]
    arguments += ["--param-bw", "4", "--group-size", "128", "--format", to]
    return run(*arguments, "--iterations", str(iterations), *more, **launch)


def flat(work: Path, _layers: int) -> None:
    for layers in (8, 16, 32):
        model = make_folder(work / f"small-{layers}", SMALL, layers)
        show(f"{layers} layers of {SMALL.hidden}", *quantize(model, work, SMALL.vocabulary)[:2])


def whole(work: Path, layers: int) -> None:
    model = make_folder(work / f"llama-8b-{layers}", LLAMA_8B, layers)
    seconds, gib, text = quantize(model, work, LLAMA_8B.vocabulary)
    print(text[-3000:])
    show(f"Llama 3 8B's shape, {layers} layers", seconds, gib)


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


def _training_seconds(text: str) -> float:
    return sum(float(line.split()[-2]) for line in text.splitlines() if " iterations, " in line)


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


def evaluate(work: Path, _layers: int) -> None:
    model = make_folder(work / "wide", WIDE, 2)
    data = tokens(work / "wide.safetensors", 8, 512, WIDE.vocabulary)
    made = ["--output-dir", str(work / "wide-out"), "--param-bw", "4", "--format", "hf", "--recipe", "rtn"]
    run("quantize", str(model), "--data", str(data), "--batch-size", "1", *made)
    seconds, gib, text = run("evaluate", str(model), str(work / "wide-out"), "--data", str(data))
    print(text)
    show("evaluate, 8 x 512 tokens of 128,256", seconds, gib)


ROWS = {
    "flat": flat,
    "whole": whole,
    "pair": pair,
    "sparse": sparse,
    "budget": budget,
    "plan": plan,
    "team": team,
    "experts": experts,
    "evaluate": evaluate,
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
