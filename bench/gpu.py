"""What training a transformer block costs on a GPU, beside the bare step of the same layer in PyTorch.

Llama's layers in the shapes of a 1B and an 8B, with random weights made on the device. Each row is
printed when it is done and appended to --out as a line of JSON; one that is there for this commit and device
is not measured again.

    block    seconds of a block with --iterations iterations, clip search and measuring included
    ms/it    of one more iteration: from two counts, so that all else drops out
    bare     transformers' layer in bf16 on the same batch: forward, squared error, gradients of its weights
    ratio    ms/it over bare
    visit    ms in which the kernels visit all weights once (quant/group_pass.h)
    GB/s     the bytes of that visit, each of its tensors read and written once, over its time
    tensors  ms/it by tensor operators over ms/it
    det.     ms/it with deterministic=True over ms/it
    peak     MiB of the device while a block trains, beyond model and data
    said     what the preflight takes a block for
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# To set before CUDA starts. deterministic=True needs it; torch's own default on a
# Hopper is the same, 32 MiB.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from adascale.errors import first_line
from machine import describe_commit
from torch import nn

import adascale
from adascale import _C

ROOT = Path(__file__).parents[1]
DTYPES = ["bfloat16", "float32"]  # of the model
MIB = 1 << 20


@dataclass(frozen=True)
class Shape:
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    batches: tuple[tuple[int, int], ...] = ((1, 512), (1, 2048), (8, 2048))


SHAPES = {
    "1b": Shape(2048, 8192, 32, 8),
    "8b": Shape(4096, 14336, 32, 8),
    "tiny": Shape(64, 128, 4, 2, ((1, 16), (2, 32))),
}


@dataclass(frozen=True)
class Row:
    shape: str
    dtype: str
    samples: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype} {self.samples}x{self.tokens}"


@dataclass
class Measured:
    weights: int
    capture_s: float
    block_s: float
    ms: float
    deterministic_ms: float
    bare_ms: float
    operators_ms: float
    visit_ms: float
    visit_bytes: int
    peak_mib: float | None
    said_mib: int
    precision: str
    note: str  # of the report: shortened steps mean that it trained more often

    @property
    def gb_per_s(self) -> float | None:
        return self.visit_bytes / self.visit_ms / 1e6 if self.visit_ms > 0 else None


class Device:
    """A device of torch, also the CPU or the tests' fake one."""

    def __init__(self, name: str) -> None:
        if name == "cuda" and not torch.cuda.is_available():
            sys.exit("gpu.py: no CUDA device; --device cpu --shape tiny tries the bench itself")
        if name == "fake":
            sys.path.insert(0, str(ROOT / "tests/device"))
            import fake_device  # noqa: F401
        self.device = torch.device(name)
        self.module = None if name == "cpu" else torch.get_device_module(name)

    @property
    def name(self) -> str:
        return self.module.get_device_name() if self.module else "cpu"

    def wait(self) -> None:
        if self.module:
            self.module.synchronize()

    def begin(self) -> int:
        """Bytes in use; the peak starts from there."""
        if self.module is None:
            return 0
        self.module.empty_cache()
        self.module.reset_peak_memory_stats()
        return self.module.memory_allocated()

    def peak_mib(self, before: int) -> float | None:
        return (self.module.max_memory_allocated() - before) / MIB if self.module else None


def make_model(row: Row, device: torch.device) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = SHAPES[row.shape]
    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        num_hidden_layers=2,
        vocab_size=512,
        max_position_embeddings=max(tokens for _, tokens in shape.batches),
        use_cache=False,
    )
    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, row.dtype))
    try:
        with device:
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def bare_ms(row: Row, model: nn.Module, device: Device, repeats: int) -> float:
    """The bare step in bf16, whatever the model's dtype."""
    layer = model.model.layers[0]
    x = torch.randn(row.samples, row.tokens, SHAPES[row.shape].hidden, device=device.device)
    positions = torch.arange(row.tokens, device=device.device)[None]
    target = torch.randn_like(x, dtype=torch.bfloat16)
    layer, x = layer.bfloat16(), x.bfloat16()
    embeddings = model.model.rotary_emb(x, positions)
    weights = [parameter for parameter in layer.parameters() if parameter.dim() == 2]

    def step() -> None:
        out = layer(x, position_embeddings=embeddings, position_ids=positions)
        out = out[0] if isinstance(out, tuple) else out
        torch.autograd.grad(nn.functional.mse_loss(out, target), weights)

    return 1e3 * seconds_of(step, device, repeats)


def seconds_of(work: Callable[[], None], device: Device, repeats: int) -> float:
    work()
    device.wait()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    device.wait()
    return (time.perf_counter() - start) / repeats


def attempts_in(step_length: float) -> int:
    """Training starts anew with steps a quarter as long where it did not help."""
    return 1 + round(math.log(1 / step_length, 4))


def train(sim_of: Callable[[], Any], data: list[Any], iterations: int, **options: Any) -> tuple[Any, Any]:
    """The report, and the measurements of its last block, for which the libraries are warm."""
    report = adascale.apply_adascale(sim_of(), data, num_iterations=iterations, progress=False, **options)
    return report, report.blocks[-1]


def ms_of_an_iteration(few: Any, many: Any) -> float:
    steps = [attempts_in(block.step_length) * block.iterations for block in (few, many)]
    return 1e3 * (many.seconds - few.seconds) / (steps[1] - steps[0])


def measure(row: Row, device: Device, args: argparse.Namespace) -> Measured:
    model = make_model(row, device.device)
    shape = (row.samples, row.tokens)
    data = [{"input_ids": torch.randint(0, 512, shape, device=device.device)} for _ in range(args.batches)]
    start = time.perf_counter()
    sim = make_sim(model, data[0])
    capture_s = time.perf_counter() - start
    del sim

    def fresh() -> Any:
        return make_sim(model, data[0])

    few = max(1, args.iterations // 5)
    train(fresh, data, few)
    before = device.begin()
    report, many = train(fresh, data, args.iterations)
    peak = device.peak_mib(before)
    _, fewer = train(fresh, data, few)
    matrices = [p.numel() for p in model.model.layers[0].parameters() if p.dim() == 2]
    visit = visit_ms(lambda: train(fresh, data, few), len(matrices))
    _, many_same = train(fresh, data, args.iterations, deterministic=True)
    _, fewer_same = train(fresh, data, few, deterministic=True)
    _C.switch_kernels(False)
    try:
        _, many_by_operators = train(fresh, data, args.iterations)
        _, fewer_by_operators = train(fresh, data, few)
    finally:
        _C.switch_kernels(True)
    weights = sum(matrices)
    stored = 2 if row.dtype == "bfloat16" else 4
    return Measured(
        weights=weights,
        capture_s=capture_s,
        block_s=many.seconds,
        ms=ms_of_an_iteration(fewer, many),
        deterministic_ms=ms_of_an_iteration(fewer_same, many_same),
        operators_ms=ms_of_an_iteration(fewer_by_operators, many_by_operators),
        visit_ms=visit,
        # W; s2, read and written; the gradient and w_dq, which are in bf16 where layers compute in it.
        visit_bytes=weights * (stored + 8 + 2 * (2 if "bfloat16" in report.precision or stored == 2 else 4)),
        bare_ms=bare_ms(row, model, device, args.repeats),
        peak_mib=peak,
        said_mib=report.block_bytes >> 20,
        precision=report.precision,
        note=many.note,
    )


def visit_ms(work: Callable[[], Any], weights: int) -> float:
    """Of one block, whose weights take a launch each."""
    if not torch.cuda.is_available():
        return 0
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work()
        torch.cuda.synchronize()
    steps = [event for event in profile.key_averages() if event.key == "step_groups"]
    return sum(weights * event.device_time_total / event.count / 1e3 for event in steps)


def make_sim(model: nn.Module, example: Any) -> Any:
    # Without the head: it is no block, and its range would be searched each time.
    config = {"lm_head": {"param_bw": 32}, "model.embed_tokens": {"param_bw": 32}}
    return adascale.QuantizationSimModel(
        model, example, default_param_bw=4, default_output_bw=32, layer_config=config
    )


HEADER = (
    "row",
    "block s",
    "ms/it",
    "tokens/s",
    "bare ms",
    "ratio",
    "visit",
    "GB/s",
    "tensors",
    "det.",
    "peak MiB",
    "said MiB",
)
WIDTHS = (22, 8, 9, 10, 9, 7, 7, 9, 8, 6, 9, 9)


def shown_as(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:,.2f}" if isinstance(cell, float) else str(cell)


def line(cells: tuple[Any, ...]) -> str:
    shown = [
        "-" if cell is None else f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in cells
    ]
    return shown[0].ljust(WIDTHS[0]) + "".join(
        cell.rjust(width) for cell, width in zip(shown[1:], WIDTHS[1:], strict=True)
    )


def cells_of(row: Row, found: Measured) -> tuple[Any, ...]:
    return (
        row,
        found.block_s,
        found.ms,
        round(row.samples * row.tokens / found.ms * 1e3),
        found.bare_ms,
        found.ms / found.bare_ms,
        found.visit_ms,
        found.gb_per_s,
        found.operators_ms / found.ms,
        found.deterministic_ms / found.ms,
        None if found.peak_mib is None else round(found.peak_mib),
        found.said_mib,
    )


def rows_of(args: argparse.Namespace) -> Iterator[Row]:
    for shape in args.shape:
        batches = SHAPES[shape].batches[:1] if args.quick else SHAPES[shape].batches
        for samples, tokens in batches:
            for dtype in args.dtype:
                yield Row(shape, dtype, samples, tokens)


def known_rows(path: Path, origin: dict[str, Any]) -> set[Row]:
    if not path.exists():
        return set()
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    return {Row(**found["row"]) for found in lines if found["origin"] == origin and "measured" in found}


def append(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(content) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu", "fake"])
    parser.add_argument("--shape", nargs="+", default=["1b", "8b"], choices=SHAPES)
    parser.add_argument(
        "--dtype", nargs="+", default=["bfloat16", "float32"], choices=["bfloat16", "float32"]
    )
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--batches", type=int, default=4, help="calibration batches")
    parser.add_argument("--repeats", type=int, default=20, help="bare steps that are timed")
    parser.add_argument("--minutes", type=float, default=8, help="no row starts later than that")
    parser.add_argument("--quick", action="store_true", help="the smallest batch, few iterations")
    parser.add_argument("--anew", action="store_true", help="rows that are in --out too")
    parser.add_argument("--out", type=Path, default=ROOT / "build/gpu/gpu.jsonl")
    args = parser.parse_args()
    if args.quick:
        args.iterations, args.batches, args.repeats = 10, 2, 2
    return args


def main() -> None:
    args = parse()
    begin = time.monotonic()
    device = Device(args.device)
    origin = {
        "device": device.name,
        "torch": torch.__version__,
        "commit": describe_commit(ROOT),
        "iterations": args.iterations,
        "batches": args.batches,
    }
    print(", ".join(f"{name} {value}" for name, value in origin.items()), flush=True)
    known = set() if args.anew else known_rows(args.out, origin)
    print(line(HEADER), flush=True)
    for row in rows_of(args):
        if row in known:
            print(f"{row}: is in {args.out}", flush=True)
            continue
        if time.monotonic() - begin > 60 * args.minutes:
            print(f"{row}: not begun after {args.minutes:g} minutes; run it again", flush=True)
            continue
        gc.collect()  # memory left by a failed row
        try:
            found = measure(row, device, args)
        except (RuntimeError, adascale.Error) as error:  # e.g. out of memory: the other rows still run
            print(f"{row}: {first_line(error)}", flush=True)
            append(args.out, {"origin": origin, "row": asdict(row), "error": str(error)})
            continue
        print(line(cells_of(row, found)), flush=True)
        append(args.out, {"origin": origin, "row": asdict(row), "measured": asdict(found)})


if __name__ == "__main__":
    main()
