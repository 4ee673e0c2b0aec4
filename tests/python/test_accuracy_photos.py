"""The photos of the accuracy table: none for calibration is judged on, and errors are by photo."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "bench" / "accuracy"))
import judge
import photos
from kinds import KINDS


def test_no_photo_is_for_calibration_and_held_out() -> None:
    names = photos.CALIBRATION + photos.HELD_OUT
    scenes = [name.rpartition(".")[0].removesuffix("_left").removesuffix("_right") for name in names]
    assert len(set(scenes)) == len(names)


def test_crops_are_seeded_and_a_held_out_row_is_a_photo() -> None:
    missing = [name for name in ("PIL", "sklearn", "skimage") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing; scripts/setup models installs them")
    subject = photos.Photos(crops=2)
    rows = subject.make_rows(Path())
    assert rows["calibration"].shape == (2 * len(photos.CALIBRATION), 3, photos.SIDE, photos.SIDE)
    assert rows["photos"].shape == (len(photos.HELD_OUT), 2, 3, photos.SIDE, photos.SIDE)
    assert rows.keys() == {"calibration", *subject.held_out}
    again = subject.make_rows(Path())
    assert all(torch.equal(again[name], found) for name, found in rows.items())


def test_the_error_of_scores_is_by_photo() -> None:
    kind, generator = KINDS["classifier"], torch.Generator().manual_seed(0)
    exact = torch.randn(3, 4, 10, generator=generator)  # photos, crops, classes
    same = judge.summarize(kind.compare(None, exact, exact, exact), kind)
    assert same["kl"] == pytest.approx(0, abs=1e-6) and same["cosine"] == pytest.approx(1)
    assert same["agreement"] == 1 and same["agreement_error"] == 0

    got = exact.clone()
    got[2] = -got[2]  # all crops of one photo
    found = judge.summarize(kind.compare(None, exact, exact, got), kind)
    assert found["agreement_rows"] == [1, 1, 0]
    assert found["agreement"] == pytest.approx(2 / 3) and found["agreement_error"] == pytest.approx(1 / 3)
    assert found["cosine_rows"] == pytest.approx([1, 1, -1]) and found["kl"] > 0.1
