"""Grids of the accuracy table: what the judge rounds of activations, and what weights are let through."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[2] / "bench" / "accuracy"))
import judge
from cells import ALL, CORE, W4, W4A8, Cell
from measuring import in_order
from task import are_floats, check_range


def test_a_layer_reads_its_input_rounded_to_its_range() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    x = torch.randn(3, 4)
    with torch.no_grad():
        hidden = model[:2](x)
        scale, zero = 0.25, 2  # of 3 bits: -0.5 to 1.25
        rounded = (hidden / scale).round().clamp(-zero, 7 - zero) * scale
        expected = model[2](rounded)
        judge.quantize_inputs({"2": model[2]}, {"2": torch.tensor([scale, float(zero)])}, bits=3)
        torch.testing.assert_close(model(x), expected)
        assert not torch.equal(rounded, hidden)


@pytest.mark.parametrize(("scale", "zero"), [(0.1, -3), (0.1, 256), (0.0, 3), (-0.1, 3)])
def test_a_range_whose_zero_is_no_code_is_refused(scale: float, zero: int) -> None:
    check_range("layer", 0.1, 255, bits=8)
    with pytest.raises(RuntimeError, match=f"layer: scale {scale} and zero {zero} of its input, expected"):
        check_range("layer", scale, zero, bits=8)


def test_stamps_of_older_cells_have_no_fields_of_newer_grids() -> None:
    assert Cell(W4, "adascale", "fast").as_json()["grid"] == {"bits": 4, "group_size": 0, "symmetric": True}
    assert Cell(W4A8, "adascale", "fast").as_json()["grid"] == {
        "bits": 4,
        "group_size": 0,
        "symmetric": True,
        "activation_bits": 8,
    }


def test_each_kept_file_is_of_one_cell_of_the_table() -> None:
    keys = [cell.key() for cell in ALL]
    assert len(set(keys)) == len(keys)
    kept = {path.stem for path in Path(judge.__file__).with_name("cells").glob("*.json")}
    assert kept and kept <= set(keys)


def test_the_core_has_every_method_of_its_grids() -> None:
    assert 0 < len(CORE) < len(ALL)
    for grid, model in {(cell.grid, cell.model) for cell in CORE}:
        all_methods = {(one.method, one.variant) for one in ALL if (one.grid, one.model) == (grid, model)}
        assert {
            (one.method, one.variant) for one in CORE if (one.grid, one.model) == (grid, model)
        } == all_methods


def test_floats_of_4_bits_are_told_from_integers() -> None:
    floats = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    groups = torch.stack([floats, -floats, floats.clamp(max=3)]) * torch.tensor([[0.1], [7.0], [2**-9]])
    assert are_floats(groups)
    assert are_floats(groups.bfloat16().float())
    assert not are_floats(torch.arange(8.0)[None])


def test_a_seed_gives_the_same_rows_in_another_order() -> None:
    rows = torch.arange(12).reshape(6, 2)
    assert torch.equal(in_order(rows, 0), rows)
    first, second = in_order(rows, 1), in_order(rows, 2)
    assert not torch.equal(first, rows) and not torch.equal(first, second)
    assert sorted(first.tolist()) == rows.tolist()
    assert torch.equal(first, in_order(rows, 1))
