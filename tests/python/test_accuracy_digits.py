"""The digits of the accuracy table: what is judged was not trained on, and models are what was trained."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

sys.path.append(str(Path(__file__).parents[2] / "bench" / "accuracy"))
import digits
from kinds import KINDS
from kinds.digits import with_labels
from kinds.digits_models import DigitsCNN


def test_no_image_is_for_calibration_and_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("sklearn missing; scripts/setup models installs it")
    monkeypatch.setattr(digits, "EPOCHS", 1)
    for name in ("digits_cnn", "digits_vit"):
        digits.train_digits(name, tmp_path / name)
    rows = digits.Digits().make_rows(tmp_path / "digits_cnn")
    calibration, held_out = rows["calibration"].flatten(1), rows["digits"]
    assert len(calibration) + len(held_out) == 1797
    assert held_out[:, -1].unique().tolist() == list(range(10))
    assert torch.cdist(held_out[:, :-1], calibration).min() > 0
    other = digits.Digits().make_rows(tmp_path / "digits_vit")
    assert torch.equal(other["digits"], held_out)
    assert not torch.equal(other["weights"], rows["weights"])


def test_the_threads_do_not_change_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are of one model, which a fresh clone on a machine of the same kind trains again."""
    rows = torch.rand(1000, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(digits, "EPOCHS", 1)
    monkeypatch.setattr(digits, "read_digits", lambda: (rows, torch.arange(1000) % 10))
    threads, trained = torch.get_num_threads(), {}
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            digits.train_digits("digits_cnn", tmp_path / str(count))
            assert torch.get_num_threads() == count
            trained[count] = load_file(tmp_path / str(count) / digits.FILE)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(values, trained[2][path]) for path, values in trained[1].items())


def test_training_sees_no_held_out_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = torch.full((797, 1, 8, 8), torch.nan)
    images = torch.cat([torch.rand(1000, 1, 8, 8), held_out])
    monkeypatch.setattr(digits, "EPOCHS", 1)
    monkeypatch.setattr(digits, "read_digits", lambda: (images, torch.arange(1797) % 10))
    digits.train_digits("digits_cnn", tmp_path / "digits_cnn")
    assert all(
        values.isfinite().all() for values in load_file(tmp_path / "digits_cnn" / digits.FILE).values()
    )


def test_folded_batch_norms_leave_the_function_as_it_was() -> None:
    torch.manual_seed(0)
    model = DigitsCNN()
    images = torch.rand(32, 1, 8, 8)
    norms = digits._add_norms(model)
    assert len(norms) == 6
    for norm in (one for one in model.modules() if isinstance(one, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
    model(images)  # moves the running means
    model.eval()
    with torch.no_grad():
        before = model(images)
        digits._fold(norms)
        assert not any(isinstance(one, nn.BatchNorm2d) for one in model.modules())
        torch.testing.assert_close(model(images), before)


def test_accuracy_is_by_the_true_digit() -> None:
    kind, exact = KINDS["digits"], torch.eye(10)
    rows = with_labels(torch.zeros(10, 1, 8, 8), torch.arange(10))
    found = kind.compare(None, rows, exact, exact.roll(1, 0))
    assert found["model_accuracy"].sum() == 10 and found["accuracy"].sum() == 0
    assert found["agreement"].sum() == 0 and (found["kl"] > 0).all()
