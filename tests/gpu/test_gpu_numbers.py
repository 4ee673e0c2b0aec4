"""The arithmetic, in float32, against the CPU's: every recipe, layer kind and kind of model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import seed_workflow
import torch
from both_sides import CPU, operators_of_torch, to
from layer_kinds import ROWS, Row, batches
from live_models import Branchy, branchy_data
from sides import (
    CHAINS,
    CONVOLUTIONS,
    LONG,
    PRODUCTS,
    SHORT_DTYPES,
    Spread,
    assert_near,
    assert_within,
    check,
    simulate,
    train,
)
from small_models import ConsecutiveBlocks, SmallCnn, randomize_batch_norms, seed_loader

import adascale
from adascale import _C

GRIDS: dict[str, dict[str, Any]] = {
    "asymmetric": {"symmetric": False},
    "per group": {"group_size": 4},
    "LPBQ": {"group_size": 4, "decompressed_bw": 8},
    "per tensor": {"layer_config": {"*": {"per_channel": False}}},
}


def name_of(row: Row) -> str:
    return f"{row.op} {row.weight}"


def spread_of(op: str) -> Spread:
    return CONVOLUTIONS if op.startswith("aten::conv") else PRODUCTS


@pytest.mark.parametrize("recipe", ["fast", "aimet", "clip", "rtn"])
def test_recipes(device: torch.device, recipe: str) -> None:
    training = {} if recipe in ("fast", "aimet") else {"num_iterations": None}
    run = check(ConsecutiveBlocks, seed_loader(), device, CHAINS, recipe=recipe, **training)
    assert len(run.report.blocks) == 5


@pytest.mark.parametrize("recipe", ["fast", "aimet"])
def test_long_training(device: torch.device, recipe: str) -> None:
    check(lambda: ConsecutiveBlocks(depth=1), seed_loader(), device, LONG, recipe=recipe, num_iterations=40)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_layer_kinds(device: torch.device, row: Row) -> None:
    check(row.make, batches(row, 4), device, spread_of(row.op))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("op", ["aten::linear", "aten::conv2d"])
def test_grids(device: torch.device, op: str, grid: str) -> None:
    row = next(row for row in ROWS if row.op == op)
    check(row.make, batches(row, 4), device, spread_of(op), sim_options=GRIDS[grid])


def test_folded_batch_norms(device: torch.device) -> None:
    data = [torch.randn(2, 3, 9, 9) for _ in range(4)]
    options = {"fold_batch_norms": True}
    check(
        lambda: randomize_batch_norms(SmallCnn()),
        data,
        device,
        CONVOLUTIONS,
        sim_options=options,
        blocks=["features"],
    )


@pytest.mark.filterwarnings("ignore")
def test_a_model_that_does_not_export_whole(device: torch.device) -> None:
    run = check(Branchy, branchy_data(), device, CHAINS)
    assert len(run.report.blocks) == 3


def test_a_transformers_llama(device: torch.device) -> None:
    small_folders = pytest.importorskip("small_folders")
    data = [{"input_ids": torch.randint(0, 320, (2, 12))} for _ in range(4)]
    check(small_folders.tiny_llama, data, device, CHAINS)


def test_the_last_stage(device: torch.device) -> None:
    small_folders = pytest.importorskip("small_folders")
    model = small_folders.tiny_llama()
    data = [{"input_ids": torch.randint(0, 320, (2, 12))} for _ in range(8)]
    runs = [train(model, data, where, recipe="best") for where in (device, CPU)]
    assert_near(*runs, CHAINS)
    got, expected = (run.report.last_stage for run in runs)
    assert got.iterations == 6 and got.kept and expected.kept
    for name in ("held_out_before", "held_out_after"):
        assert_within([getattr(got, name)], [getattr(expected, name)], CHAINS.after, name)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_models_in_short_dtypes(device: torch.device, dtype: torch.dtype) -> None:
    data = [x.to(dtype) for x in seed_loader()]
    run = check(lambda: ConsecutiveBlocks(depth=2).to(dtype), data, device, SHORT_DTYPES)
    assert run.output.dtype == dtype


@pytest.mark.parametrize("where", ["the model on the CPU", "data on the CPU"])
def test_model_data_and_computation_may_be_apart(device: torch.device, where: str) -> None:
    model, data = ConsecutiveBlocks(depth=3).eval(), seed_loader()
    expected = train(model, data, CPU)
    options: dict[str, Any] = {}
    if where == "data on the CPU":
        model = model.to(device)
    else:
        options["device"] = device.type
    placed = next(model.parameters()).device
    with operators_of_torch():
        sim = simulate(model, data[0], **options)
        report = adascale.apply_adascale(sim, data, num_iterations=6, progress=False, precision="float32")
    assert sim.model(data[0]).device == device
    assert {parameter.device for parameter in sim.model.parameters()} == {placed}
    losses = [block.loss_after for block in report.blocks]
    assert losses == pytest.approx(expected.after, rel=CHAINS.after)


def test_noise_is_the_cpus_bit_for_bit(device: torch.device) -> None:
    for sizes in ([7], [3, 5, 2], [1 << 20]):
        for seed in (0, 1, 2**63 + 5):
            on_cpu, on_device = (_C.uniform_noise(sizes, seed, str(where)) for where in (CPU, device))
            assert on_device.device == device
            assert torch.equal(on_cpu, on_device.cpu())


def test_activation_quantizers(device: torch.device) -> None:
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    outputs = []
    for where in (CPU, device):
        batches = to(data, where)
        sim = simulate(copy.deepcopy(model).to(where), batches[0], default_output_bw=8)
        sim.compute_encodings(lambda model: [model(x) for x in batches])  # noqa: B023
        outputs.append(sim.model(batches[0]).cpu())
    # A value between two codes may go to either, which differ by a step of the last
    # quantizer: softmax's over 256.
    assert (outputs[0] - outputs[1]).abs().max() <= outputs[0].max() / 255 * 1.01
    assert (outputs[0] != outputs[1]).float().mean() < 0.05


def test_the_seed_workflow(device: torch.device, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed_workflow.main(str(tmp_path), str(device))
    said = capsys.readouterr().out
    assert f"on {device} in" in said
    errors = said.partition("relative error of the outputs")[2].partition("exported")[0]
    nearest, learned = (float(line.split()[-1].rstrip("%")) for line in errors.splitlines() if "%" in line)
    assert learned < nearest
    assert {path.suffix for path in tmp_path.iterdir()} == {".pt2", ".safetensors", ".encodings"}
