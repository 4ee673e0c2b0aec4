"""The five steps of the seed's workflow, end to end."""

import json
from pathlib import Path

import pytest
import torch
from small_models import ConsecutiveBlocks, seed_loader, seed_sim
from torch import Tensor, nn
from torch.utils.data import DataLoader

from adascale import AdaScaleReport, QuantizationSimModel, apply_adascale, default_forward_fn


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(state) == list(other) and all(torch.equal(state[name], other[name]) for name in state)


def is_on_grid(weight: Tensor, bits: int) -> bool:
    """At most 2^bits values in each row."""
    return all(row.unique().numel() <= 2**bits for row in weight)


def calibrate(sim: QuantizationSimModel, loader: list[Tensor]) -> None:
    def forward_pass(model: nn.Module, batches: list[Tensor]) -> None:
        for batch in batches:
            model(batch)

    sim.compute_encodings(forward_pass, loader)


def output_error(model: nn.Module, sim: QuantizationSimModel, batches: list[Tensor]) -> float:
    with torch.no_grad():
        return sum((sim.model(x) - model(x)).square().sum().item() for x in batches)


def test_whole_workflow(tmp_path: Path) -> None:
    model = ConsecutiveBlocks().eval()
    dummy_input = torch.rand(96, 3, 32, 64)
    loader = DataLoader(dummy_input, batch_size=3, shuffle=True)
    before = copies(model)

    sim = seed_sim(model, dummy_input)
    report = apply_adascale(
        qsim=sim, data_loader=loader, forward_fn=default_forward_fn, num_epochs=1, progress=False
    )
    assert isinstance(report, AdaScaleReport)
    assert [block.name for block in report.blocks] == [f"linear_blocks.{i}" for i in range(5)]
    assert all(block.iterations == 32 and block.loss_after <= block.loss_before for block in report.blocks)
    assert "linear_blocks.4" in str(report)

    sim.compute_encodings(lambda m, _: [m(x) for x in loader], None)
    y = sim.model(dummy_input[:7])
    assert y.shape == (7, 3, 32, 64)
    files = sim.export(path=tmp_path, filename_prefix="quantized_dummy_model", dummy_input=dummy_input.cpu())

    names = [
        "quantized_dummy_model.encodings",
        "quantized_dummy_model.pt2",
        "quantized_dummy_model.safetensors",
        "quantized_dummy_model_torch.encodings",
    ]
    assert sorted(files) == sorted(str(tmp_path / name) for name in names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert same(before, model.state_dict())

    reloaded = torch.export.load(tmp_path / names[1]).module()
    torch.testing.assert_close(reloaded(dummy_input[:7]), y, rtol=0, atol=1e-6)
    encodings = json.loads((tmp_path / names[3]).read_text())
    assert set(encodings["param_encodings"]) >= {
        f"linear_blocks.{i}.fc{k}.weight" for i in range(5) for k in (1, 2)
    }
    assert len(encodings["activation_encodings"]) >= 11


def test_learned_weights_beat_round_to_nearest() -> None:
    model, loader = ConsecutiveBlocks().eval(), seed_loader(samples=48)
    nearest, learned = seed_sim(model, loader[0]), seed_sim(model, loader[0])
    apply_adascale(learned, loader, num_iterations=300, lr_scale=4.0, progress=False)
    held_out = seed_loader(samples=24)
    assert output_error(model, learned, held_out) < 0.9 * output_error(model, nearest, held_out)


@pytest.mark.parametrize("in_place", [False, True])
def test_in_place(in_place: bool) -> None:
    model, loader = ConsecutiveBlocks(64, 2).eval(), seed_loader(64)
    before = copies(model)
    sim = seed_sim(model, loader[0], in_place=in_place)
    apply_adascale(sim, loader, progress=False)
    calibrate(sim, loader)

    assert same(before, model.state_dict()) != in_place
    assert list(sim.model.state_dict()) == list(before)
    folded = sim.model.state_dict()["linear_blocks.0.fc1.weight"]
    assert is_on_grid(folded, 4) and not is_on_grid(before["linear_blocks.0.fc1.weight"], 4)
    assert torch.equal(model.linear_blocks[0].fc1.weight, folded) == in_place
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_adascale_leaves_activations_alone() -> None:
    model, loader = ConsecutiveBlocks(16, 2).eval(), seed_loader(16)
    sim = seed_sim(model, loader[0], default_output_bw=4)

    def activations() -> list[str]:
        return [line for line in repr(sim).splitlines() if "put 0 int4 asymmetric" in line]

    before = activations()
    assert len(before) >= 5 and all("no encoding yet" in line for line in before)
    apply_adascale(sim, loader, progress=False)
    assert activations() == before

    passed_through = sim.model(loader[0])
    calibrate(sim, loader)
    assert all("no encoding yet" not in line for line in activations())
    assert not torch.equal(sim.model(loader[0]), passed_through)


def test_weights_alone_until_compute_encodings() -> None:
    model, loader = ConsecutiveBlocks(16, 2).eval(), seed_loader(16)
    with_activations, without = seed_sim(model, loader[0]), seed_sim(model, loader[0], default_output_bw=32)
    assert torch.equal(with_activations.model(loader[0]), without.model(loader[0]))
    assert not torch.equal(without.model(loader[0]), model(loader[0]))


def trained_bytes(seed: int) -> bytes:
    torch.manual_seed(0)
    model, loader = ConsecutiveBlocks(16, 2).eval(), seed_loader(16)
    sim = seed_sim(model, loader[0])
    apply_adascale(sim, loader, num_epochs=40, recipe="aimet", seed=seed, lr_scale=30.0, progress=False)
    return b"".join(tensor.numpy().tobytes() for tensor in sim.model.state_dict().values())


def test_same_seed_gives_same_bytes() -> None:
    assert trained_bytes(3) == trained_bytes(3)
    assert trained_bytes(3) != trained_bytes(4)


def test_one_shot_generator_as_loader() -> None:
    model, loader = ConsecutiveBlocks(16, 2).eval(), seed_loader(16)
    sim = seed_sim(model, loader[0])
    report = apply_adascale(sim, (batch for batch in loader), num_epochs=2, progress=False)
    assert [block.iterations for block in report.blocks] == [8, 8]


def test_loader_that_fills_one_buffer() -> None:
    batches = seed_loader(16)

    def reused() -> object:
        buffer = torch.empty_like(batches[0])
        for batch in batches:
            yield buffer.copy_(batch)

    def trained(loader: object) -> Tensor:
        torch.manual_seed(1)
        sim = seed_sim(ConsecutiveBlocks(16, 2).eval(), batches[0])
        apply_adascale(sim, loader, num_epochs=4, lr_scale=8.0, progress=False)
        return sim.model.state_dict()["linear_blocks.0.fc1.weight"]

    assert torch.equal(trained(reused()), trained(batches))


@pytest.mark.parametrize("dummy_batch", [1, 2, 96])
@pytest.mark.parametrize("batch", [1, 3])
def test_batches_of_other_sizes_than_the_example(dummy_batch: int, batch: int) -> None:
    model, loader = ConsecutiveBlocks(16, 2).eval(), seed_loader(16, batch=batch)
    sim = seed_sim(model, torch.rand(dummy_batch, 3, 4, 16))
    report = apply_adascale(sim, loader, progress=False)
    assert report.blocks[0].iterations == len(loader)
    assert sim.model(loader[0]).shape == loader[0].shape


def test_under_inference_mode() -> None:
    model = ConsecutiveBlocks(16, 2).eval()
    with torch.inference_mode():
        loader = seed_loader(16)
        sim = seed_sim(model, loader[0])
        report = apply_adascale(sim, loader, progress=False)
        calibrate(sim, loader)
        assert sim.model(loader[0]).shape == loader[0].shape
    assert [block.iterations for block in report.blocks] == [4, 4]


def test_held_out_batches_and_named_blocks() -> None:
    model, loader = ConsecutiveBlocks(16, 3).eval(), seed_loader(16)
    sim = seed_sim(model, loader[0])
    report = apply_adascale(sim, loader, held_out_batches=1, blocks=["linear_blocks.1"], progress=False)
    (block,) = report.blocks
    assert block.name == "linear_blocks.1" and block.iterations == 3
    assert block.held_out_before is not None and block.held_out_after is not None
    assert any(line.startswith("linear_blocks.0.fc1") for line in report.not_trained)
