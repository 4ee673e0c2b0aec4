"""Every row of the layer table: found, quantized on every grid, trained."""

import pytest
import torch
from forked_command import run
from layer_kinds import GRIDS, ROWS, Row, batches

import adascale


def name_of(row: Row) -> str:
    return f"{row.op} {row.weight}"


def simulate(row: Row, **options: object) -> tuple[adascale.QuantizationSimModel, list[torch.Tensor]]:
    model = row.make().eval()
    data = batches(row, 10)
    sim = adascale.QuantizationSimModel(
        model, dummy_input=data[0], default_param_bw=2, default_output_bw=32, **options
    )
    return sim, data


def test_every_row_of_the_table_has_a_model() -> None:
    ran = run("list", "layers")
    assert ran.returncode == 0, ran.stderr
    rows = {" ".join(line.split()[1:3]) for line in ran.stdout.splitlines() if "aten::" in line}
    assert rows == {name_of(row) for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@pytest.mark.parametrize("grid", GRIDS)
def test_training_beats_rounding_on_samples_it_never_saw(row: Row, grid: str) -> None:
    options = dict(GRIDS[grid])
    sim, data = simulate(row, **options)
    report = adascale.apply_adascale(
        sim, data, num_iterations=80, lr_scale=0.3, held_out_batches=2, progress=False, precision="float32"
    )
    assert not report.not_trained
    (block,) = report.blocks
    assert block.held_out_after < block.held_out_before
    for layer in block.layers:
        assert layer.codes_moved > 0, layer.name
        assert "int2" in layer.grid
    with torch.no_grad():
        assert torch.isfinite(sim.model(data[0])).all()


@pytest.mark.parametrize("row", [row for row in ROWS if row.axes], ids=name_of)
def test_every_output_channel_has_a_scale(row: Row) -> None:
    """Seen from outside: 2 bits leave at most 4 values in a channel, but more in the whole weight."""
    sim, data = simulate(row, symmetric=False)
    adascale.apply_adascale(sim, data, recipe="rtn", progress=False)
    weight = next(p for name, p in sim.model.named_parameters() if p.dim() > 1)
    channels = weight.movedim(row.axes, tuple(range(len(row.axes)))).flatten(0, len(row.axes) - 1).flatten(1)
    assert all(channel.unique().numel() <= 4 for channel in channels)
    assert weight.unique().numel() > 4
