"""The photos of the accuracy table, and crops of them: scikit-image's and scikit-learn's, as installed.

No photo is in both lists, nor two views of one scene: motorcycle_right.png is in neither.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

SIDE = 224  # of a crop, pixels
# The first six, and the first four held out, are tests/zoo's too.
CALIBRATION = (
    "china.jpg",
    "astronaut.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "retina.jpg",
    "brick.png",
    "coins.png",
)
# The last four are grey.
HELD_OUT = (
    "flower.jpg",
    "chelsea.png",
    "ihc.png",
    "hubble_deep_field.jpg",
    "camera.png",
    "moon.png",
    "grass.png",
    "gravel.png",
)


@dataclass(frozen=True)
class Photos:
    """Crops of both lists of photos: as many of each photo."""

    crops: int
    held_out: ClassVar[tuple[str, ...]] = ("photos",)

    def make_rows(self, folder: Path) -> dict[str, Tensor]:
        """Calibration's [crops, 3, 224, 224], shuffled. Of the held-out ones a row is a photo, whose crops
        depend on each other: [photos, crops, 3, 224, 224]."""
        held_out = [make_crops([photo], self.crops, seed) for seed, photo in enumerate(HELD_OUT, 1)]
        return {"calibration": make_crops(CALIBRATION, self.crops, 0), "photos": torch.stack(held_out)}


def find_photo(name: str) -> Path:
    folders = [_package("sklearn") / "datasets" / "images", _package("skimage") / "data"]
    found = next((folder / name for folder in folders if (folder / name).exists()), None)
    if found is None:
        raise SystemExit(f"{name}: is neither in {folders[0]} nor in {folders[1]}")
    return found


def make_crops(photos: Iterable[str], each: int, seed: int) -> Tensor:
    """Random crops [photos * each, 3, 224, 224], shuffled, a third to all of the shorter side wide."""
    from PIL import Image

    generator, found = np.random.default_rng(seed), []
    for photo in photos:
        image = Image.open(find_photo(photo)).convert("RGB")
        for _ in range(each):
            side = int(min(image.size) * generator.uniform(1 / 3, 1))
            left, top = (int(generator.integers(0, size - side + 1)) for size in image.size)
            crop = image.resize((SIDE, SIDE), box=(left, top, left + side, top + side))
            found.append((np.asarray(crop, dtype=np.float32) - 127) / 128)
    order = generator.permutation(len(found))
    return torch.from_numpy(np.stack(found)[order]).permute(0, 3, 1, 2).contiguous()


def _package(name: str) -> Path:
    """Its folder, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {name} is missing; scripts/setup models installs it")
    return Path(spec.submodule_search_locations[0])
