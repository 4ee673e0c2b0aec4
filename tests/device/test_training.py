"""Every recipe, layer kind and grid form on a device, against the same run on the CPU."""

from __future__ import annotations

from typing import Any

import fake_device  # noqa: F401
import pytest
import torch
from both_sides import CPU, to
from layer_kinds import GRIDS, ROWS, Row, batches
from live_models import Branchy, branchy_data
from pairs import FAKE, assert_same, check, finished, tensor_operators, train
from small_folders import tiny_llama
from small_models import ConsecutiveBlocks, SmallCnn, randomize_batch_norms, seed_loader

import adascale


def name_of(row: Row) -> str:
    return f"{row.op} {row.weight}"


@pytest.mark.parametrize("recipe", ["fast", "aimet", "clip", "rtn"])
def test_recipes(recipe: str) -> None:
    training = {} if recipe in ("fast", "aimet") else {"num_iterations": None}
    run = check(ConsecutiveBlocks, seed_loader(), recipe=recipe, **training)
    assert len(run.report.blocks) == 5


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_layer_kinds(row: Row) -> None:
    check(row.make, batches(row, 4))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("op", ["aten::linear", "aten::conv2d", "aten::lstm"])
def test_grids(op: str, grid: str) -> None:
    row = next(row for row in ROWS if row.op == op)
    check(row.make, batches(row, 4), sim_options=GRIDS[grid])


@pytest.mark.parametrize("grid", ["mxfp4", "nvfp4"])
def test_fp4(grid: str) -> None:
    check(lambda: ConsecutiveBlocks(depth=2), seed_loader(), sim_options={"grid": grid})


def test_folded_batch_norms() -> None:
    data = [torch.randn(2, 3, 9, 9) for _ in range(4)]
    options = {"fold_batch_norms": True}
    check(lambda: randomize_batch_norms(SmallCnn()), data, sim_options=options, blocks=["features"])


def test_a_model_that_does_not_export_whole() -> None:
    run = check(Branchy, branchy_data())
    assert len(run.report.blocks) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_dtypes(dtype: torch.dtype) -> None:
    check(lambda: ConsecutiveBlocks(depth=2).to(dtype), [x.to(dtype) for x in seed_loader()])


def test_a_transformers_llama() -> None:
    data = [{"input_ids": torch.randint(0, 320, (2, 12))} for _ in range(4)]
    check(tiny_llama, data)


def test_in_place_the_models_own_tensors_become_the_quantized_ones() -> None:
    model = ConsecutiveBlocks(depth=2).eval()
    expected = train(model, seed_loader(), CPU)
    moved = model.to(FAKE)
    with tensor_operators():
        sim = adascale.QuantizationSimModel(
            moved, seed_loader()[0], default_param_bw=4, default_output_bw=32, in_place=True
        )
        torch.manual_seed(0)
        report = adascale.apply_adascale(
            sim, to(seed_loader(), FAKE), num_iterations=6, progress=False, precision="float32"
        )
    assert report.device == "fake:0"
    for name, parameter in moved.named_parameters():
        assert parameter.device == FAKE
        assert sim.model.get_parameter(name).data_ptr() == parameter.data_ptr()
    assert len(expected.losses) == len(report.blocks) * 2


PLACES = ["the model on the CPU, device=", "data on the CPU", "data on the device"]


@pytest.mark.parametrize("where", PLACES)
def test_model_data_and_computation_may_be_apart(where: str) -> None:
    model, data = ConsecutiveBlocks(depth=3).eval(), seed_loader()
    expected = train(model, data, CPU, sim_options={"default_output_bw": 8})
    options = {"default_param_bw": 4, "default_output_bw": 8}
    if where == "data on the CPU":
        model = model.to(FAKE)
    else:
        options["device"] = FAKE if where.startswith("the model") else "fake"
        data = to(data, FAKE if where == "data on the device" else CPU)
    placed = next(model.parameters()).device
    with tensor_operators():
        sim = adascale.QuantizationSimModel(model, data[0], **options)
        report = adascale.apply_adascale(sim, data, num_iterations=6, progress=False, precision="float32")
    assert sim.device == sim.model.device == FAKE
    assert {p.device for p in sim.model.parameters()} == {placed}, "parameters stay where they are"
    assert_same(finished(sim, report, data[0]), expected)
    sim.compute_encodings(lambda model: [model(x) for x in data])
    assert sim.model(data[0]).device == FAKE


def test_a_model_on_a_device_may_be_computed_on_the_cpu() -> None:
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    expected = train(model, data, CPU)
    moved = model.to(FAKE)
    with tensor_operators():
        sim = adascale.QuantizationSimModel(
            moved, data[0], default_param_bw=4, default_output_bw=32, device="cpu"
        )
        report = adascale.apply_adascale(sim, data, num_iterations=6, progress=False, precision="float32")
    assert report.device == "cpu" and sim.model.get_parameter("linear_blocks.0.fc1.weight").device == FAKE
    assert_same(finished(sim, report, data[0]), expected)


def test_noise_is_the_same_on_every_device() -> None:
    from adascale import _C

    for sizes in ([7], [3, 5, 2], [1 << 16]):
        on_cpu, on_device = (_C.uniform_noise(sizes, 2**63 + 5, device) for device in ("cpu", "fake"))
        assert torch.equal(on_cpu, on_device.cpu())


def test_activation_quantizers_and_encodings_files(tmp_path: Any) -> None:
    model, data = ConsecutiveBlocks(depth=2).eval(), seed_loader()
    outputs, activations = [], []
    for device in (CPU, FAKE):
        import copy

        moved, batches = copy.deepcopy(model).to(device), to(data, device)
        with tensor_operators():
            sim = adascale.QuantizationSimModel(moved, batches[0], default_param_bw=4, default_output_bw=8)
            sim.compute_encodings(lambda model: [model(x) for x in batches])  # noqa: B023
            (file,) = sim.export(tmp_path / device.type, "q", formats=["encodings"])[-1:]
            fresh = adascale.QuantizationSimModel(moved, batches[0], default_param_bw=4, default_output_bw=8)
            fresh.load_encodings(file)
            outputs.append((sim.model(batches[0]).cpu(), fresh.model(batches[0]).cpu()))
        activations.append(sim)
    (cpu, cpu_loaded), (fake, fake_loaded) = outputs
    assert torch.equal(cpu, fake) and torch.equal(cpu, cpu_loaded) and torch.equal(fake, fake_loaded)


def test_a_run_that_was_stopped_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = ConsecutiveBlocks().eval(), seed_loader()
    whole = train(model, data, FAKE)

    class Stop(Exception):
        pass

    def stop(stage: str, *_: Any) -> None:
        if stage.startswith("block 3/"):
            raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(adascale.progress.Progress, "__enter__", lambda _: stop)
        train(model, data, FAKE, checkpoint_dir=tmp_path / "kept")
    resumed = train(model, data, FAKE, checkpoint_dir=tmp_path / "kept", resume=True)
    assert resumed.losses == whole.losses
    for name, expected in whole.encodings.items():
        assert all(torch.equal(*pair) for pair in zip(resumed.encodings[name], expected, strict=True)), name
