"""scikit-learn's handwritten digits, and two classifiers of them that are trained here in a minute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from kinds.digits import with_labels
from kinds.digits_models import FILE, MODELS, DigitsCNN, Residual
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

TRAINING = 1000  # of 1,797 images; the others are held out
EPOCHS = 40
NOISE = 0.1  # on images while training: without it the ViT gets 94 % of the held-out ones right, with it 97 %


@dataclass(frozen=True)
class Digits:
    """Calibration: images the model was trained on, [n, 1, 8, 8]. Held out: the others, with their digits."""

    held_out: ClassVar[tuple[str, ...]] = ("digits",)

    def make_rows(self, folder: Path) -> dict[str, Tensor]:
        """Beside both, the model's weights: another machine may train another model, and cells of two models
        are told apart by the digest of their rows."""
        images, labels = read_digits()
        weights = [values.flatten() for _, values in sorted(load_file(folder / FILE).items())]
        return {
            "calibration": images[:TRAINING],
            "digits": with_labels(images[TRAINING:], labels[TRAINING:]),
            "weights": torch.cat(weights),
        }


def read_digits() -> tuple[Tensor, Tensor]:
    """All images [n, 1, 8, 8] in 0 to 1 and their digits [n], in a seeded order."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(data.images).float()[:, None] / 16
    return images[order], torch.from_numpy(data.target)[order]


def train_digits(name: str, folder: Path) -> None:
    """Leaves the trained model of that name in ``folder``, its batch norms folded."""
    with torch.random.fork_rng(), _one_thread():
        torch.manual_seed(0)
        model = MODELS[name]()
        norms = _add_norms(model) if isinstance(model, DigitsCNN) else {}
        _train(model)
        _fold(norms)
    folder.mkdir(parents=True)
    save_file({path: values.contiguous() for path, values in model.state_dict().items()}, folder / FILE)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """More would add sums in another order and so train another model, which the kept cells are not of."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(model: nn.Module) -> None:
    images, labels = (all_of[:TRAINING] for all_of in read_digits())
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(TRAINING).split(50):
            optimizer.zero_grad()
            seen = images[rows] + NOISE * torch.randn_like(images[rows])
            nn.functional.cross_entropy(model(seen), labels[rows]).backward()
            optimizer.step()
        schedule.step()
    model.eval()


Norms = dict[nn.Sequential, tuple[nn.Module, str]]  # a convolution with its norm: whose it is, and its name


def _add_norms(model: nn.Module) -> Norms:
    """Behind each convolution, while the model trains."""
    added: Norms = {}
    for block in (one for one in model.modules() if isinstance(one, Residual)):
        for name in ("first", "second"):
            convolution = getattr(block, name)
            pair = nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels))
            setattr(block, name, pair)
            added[pair] = (block, name)
    return added


def _fold(norms: Norms) -> None:
    for pair, (block, name) in norms.items():
        convolution, norm = pair
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        setattr(block, name, convolution)
