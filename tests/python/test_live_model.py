"""Models that torch.export refuses as a whole, simulated and trained block by block."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from live_models import BLOCKS, Branchy, Layer, branchy_data, changed, copies, simulate
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from adascale import Error, apply_adascale


def test_says_why_it_goes_block_by_block(branchy: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "adascale"):
        sim = simulate(branchy)
    (said,) = [r.getMessage() for r in caplog.records if "block by block" in r.getMessage()]
    assert 'in forward, "if x.sum() > 0:"' in said
    assert "3 of 3 blocks" in said
    shown = repr(sim)
    assert "block by block: torch.export refuses the model" in shown
    assert "layers.2.down.weight 16x32 int4 symmetric per channel, round-to-nearest" in shown
    assert "full precision: stem: outside every captured block" in shown
    assert "full precision: head: outside every captured block" in shown


def test_with_weights_off_it_computes_what_the_model_does(branchy: nn.Module) -> None:
    sim = simulate(branchy, bits=32)
    for x in (*branchy_data(3), torch.randn(1, 8), torch.randn(17, 8)):
        torch.testing.assert_close(sim.model(x), branchy(x))
    assert isinstance(sim.model, Branchy)


def test_trains_calibrates_and_exports(branchy: nn.Module, tmp_path: Path) -> None:
    before, data = copies(branchy), branchy_data()
    sim = simulate(branchy, output_bw=8)
    report = apply_adascale(sim, data, num_iterations=200, progress=False)
    assert [block.name for block in report.blocks] == BLOCKS
    assert all(block.kept and block.loss_after < block.loss_before for block in report.blocks)
    assert report.not_trained == [
        "stem: outside every block, full precision",
        "head: outside every block, full precision",
    ]
    weights = {f"{path}.{layer}.weight" for path in BLOCKS for layer in ("up", "down")}
    assert changed(before, sim.model) == weights
    assert not changed(before, branchy)
    trained = sim.model(data[0])
    sim.compute_encodings(lambda simulated: [simulated(x) for x in data])
    assert not torch.equal(sim.model(data[0]), trained)

    paths = sim.export(str(tmp_path), "branchy")
    assert [Path(path).name for path in paths] == ["branchy.safetensors", "branchy_torch.encodings"]
    tensors, shown = load_file(tmp_path / "branchy.safetensors"), sim.model.state_dict()
    assert set(tensors) == set(shown)
    assert all(torch.equal(tensors[name], shown[name]) for name in shown)
    with safe_open(tmp_path / "branchy.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["adascale.recipe"] == "fast" and metadata["adascale.iterations"] == "200"
    assert set(json.loads(metadata["adascale.weights"])) == weights
    encodings = json.loads((tmp_path / "branchy_torch.encodings").read_text())
    assert set(encodings["param_encodings"]) == weights
    assert encodings["excluded_layers"] == ["head", "stem"]
    assert {"layers.0.up", "layers.2.down"} <= set(encodings["activation_encodings"])
    assert all(name.startswith("layers.") for name in encodings["activation_encodings"])
    shown_quantizers = repr(sim).count(" int8 asymmetric, ")
    written = [port for ports in encodings["activation_encodings"].values() for port in ports.values()]
    assert sum(len(port) for port in written) == shown_quantizers > 0


def test_gives_each_block_what_reaches_it_in_the_quantized_model(branchy: nn.Module) -> None:
    off = {f"layers.{i}.*": {"param_bw": 32} for i in range(2)}

    def loss_of_last(**options: Any) -> float:
        sim = simulate(branchy, bits=2, **options)
        report = apply_adascale(sim, branchy_data(), blocks=["layers.2"], recipe="rtn", progress=False)
        assert [block.name for block in report.blocks] == ["layers.2"]
        return report.blocks[0].loss_before

    assert loss_of_last() > 1.5 * loss_of_last(layer_config=off)


def test_passes_over_a_block_with_nothing_to_train(branchy: nn.Module) -> None:
    sim = simulate(branchy, layer_config={"layers.1.*": {"param_bw": 32}})
    report = apply_adascale(sim, branchy_data(), num_iterations=2, progress=False)
    assert [block.name for block in report.blocks] == ["layers.0", "layers.2"]
    assert "layers.1: none of its layers has 2 to 8 bits to train" in report.not_trained


class Detours(Branchy):
    """The same, with code between the blocks."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.sum() > 0:
            x = -x
        for layer in self.layers:
            x = layer(x, scale=0.5) * 1.0
        return self.head(x)


def test_goes_on_from_block_to_block_where_it_can(branchy: nn.Module) -> None:
    detours, data = Detours().eval(), branchy_data()
    detours.load_state_dict(branchy.state_dict())
    runs, losses = [], []
    for model in (branchy, detours):
        sim, count = simulate(model), []
        sim._core.float_model.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        report = apply_adascale(sim, data, num_iterations=20, progress=False)
        runs.append(len(count))
        losses.append([(block.loss_before, block.loss_after) for block in report.blocks])
    assert losses[0] == losses[1]
    assert runs == [2 * len(data), 4 * len(data)]  # one to look, one to each block that is run up to


def test_trains_with_activations_as_they_are(branchy: nn.Module, tmp_path: Path) -> None:
    detours, data = Detours().eval(), branchy_data()
    calibrated = simulate(detours, output_bw=4)
    calibrated.compute_encodings(lambda simulated: [simulated(x) for x in data])
    calibrated.export(tmp_path, "m", formats=["encodings"])
    stored = json.loads((tmp_path / "m_torch.encodings").read_text())["activation_encodings"]
    # With all of them it would count as calibrated.
    some = {name: ports for name, ports in stored.items() if name.endswith(".up")}
    losses = []
    for encodings in ({}, some):
        sim = simulate(detours, output_bw=4)
        sim.load_encodings({"activation_encodings": encodings})
        report = apply_adascale(sim, data, num_iterations=2, progress=False)
        losses.append([(block.loss_before, block.loss_after) for block in report.blocks])
    assert losses[0] == losses[1]


class Wayward(Layer):
    """Takes another path where values are large, which the capture does not see."""

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        is_large = not torch.compiler.is_exporting() and x.abs().max() > 100
        return super().forward(x, 2 * scale if is_large else scale)


def test_refuses_data_that_a_block_takes_another_way_than_the_example() -> None:
    torch.manual_seed(0)
    sim = simulate(Branchy(Wayward).eval())
    apply_adascale(sim, branchy_data(), num_iterations=2, progress=False)
    sim = simulate(Branchy(Wayward).eval())
    with pytest.raises(Error, match=r"layers\.0: batch 0: captured alone it computes something else"):
        apply_adascale(sim, [1000 * x for x in branchy_data()], num_iterations=2, progress=False)


def test_refuses_the_whole_programs_format_before_writing(branchy: nn.Module, tmp_path: Path) -> None:
    sim = simulate(branchy)
    with pytest.raises(Error, match="export: pt2: this model was captured block by block"):
        sim.export(str(tmp_path / "out"), "branchy", formats=["safetensors", "pt2"])
    assert not (tmp_path / "out").exists()


def test_refuses_what_the_blocks_were_not_captured_for(branchy: nn.Module) -> None:
    sim = simulate(branchy)
    with pytest.raises(Error, match="not trainable"):
        sim.model.train()
    with pytest.raises(Error, match="convert the model first"):
        sim.model.half()
    assert sim.model.eval() is sim.model


def test_refuses_in_place(branchy: nn.Module) -> None:
    with pytest.raises(Error, match="in_place would overwrite"):
        simulate(branchy, in_place=True)


def test_refuses_a_pattern_that_no_block_holds(branchy: nn.Module) -> None:
    simulate(branchy, layer_config={"layers.1.*": {"param_bw": 8}})
    with pytest.raises(Error, match="pattern 'stem' matches no layer of the 3 blocks captured"):
        simulate(branchy, layer_config={"stem": {"param_bw": 8}})
    with pytest.raises(Error, match=r"blocks: 'layer\.\*' matches no module"):
        simulate(branchy, blocks=["layer.*"])


def test_names_the_blocks_that_calibration_missed(branchy: nn.Module) -> None:
    sim = simulate(branchy, output_bw=8)
    with pytest.raises(Error, match="never ran layers.0, layers.1, layers.2"):
        sim.compute_encodings(lambda simulated: None)
    sim.compute_encodings(lambda simulated: simulated(branchy_data(1)[0]))


def test_refuses_a_second_training_before_the_model_runs(branchy: nn.Module) -> None:
    calls: list[object] = []
    branchy.register_forward_pre_hook(lambda *call: calls.append(call))
    sim, data = simulate(branchy), branchy_data(2)
    apply_adascale(sim, data, num_iterations=2, progress=False)
    calls.clear()
    with pytest.raises(Error, match="called twice"):
        apply_adascale(sim, data, num_iterations=2, progress=False)
    assert len(calls) == len(data), "the batches are caught, and the FP model looks at none"


def test_is_the_whole_models_error_where_there_is_no_block() -> None:
    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) if x.sum() > 0 else x

    with pytest.raises(Error, match=r"torch.export refuses the model.*nor are there blocks") as raised:
        simulate(Alone().eval())
    assert "\n" not in str(raised.value)


def test_is_one_line_where_the_model_fails_on_the_example(branchy: nn.Module) -> None:
    with pytest.raises(
        Error, match="^the example: the model does not run on it: mat1 and mat2.*torch.export refuses"
    ) as raised:
        simulate(branchy, example=torch.randn(6, 9))
    assert "\n" not in str(raised.value)


def test_the_model_shares_what_is_not_quantized_and_notices_edits(branchy: nn.Module) -> None:
    sim = simulate(branchy)
    assert sim.model.stem.weight.data_ptr() == branchy.stem.weight.data_ptr()
    with torch.no_grad():
        branchy.layers[1].up.weight.add_(1)
    with pytest.raises(Error, match="layers.1: layers.1.up.weight: the tensor was changed"):
        sim.model(branchy_data(1)[0])


class ConvLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))


def test_folds_batch_norms_within_blocks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Branchy(ConvLayer).eval()
    model.stem = model.head = nn.Identity()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.3, 3)
    before, data = copies(model), [torch.randn(3, 4, 6, 6) for _ in range(3)]
    exact = simulate(model, bits=32, example=data[0], fold_batch_norms=True)
    with torch.no_grad():
        torch.testing.assert_close(exact.model(data[0]), model(data[0]), rtol=1e-5, atol=1e-5)
    sim = simulate(model, example=data[0], fold_batch_norms=True)
    assert "batch norm: layers.1.bn2 folded into layers.1.conv2" in repr(sim)
    report = apply_adascale(sim, data, num_iterations=100, progress=False)
    assert all(block.loss_after < block.loss_before for block in report.blocks)
    sim.export(str(tmp_path), "net", formats=["safetensors"])
    tensors, shown = load_file(tmp_path / "net.safetensors"), sim.model.state_dict()
    assert set(tensors) == set(shown) and not any(".bn" in name for name in tensors)
    assert "layers.0.conv1.bias" in tensors
    assert all(torch.equal(tensors[name], shown[name]) for name in shown)
    assert not changed(before, model)


class Stages(nn.Module):
    """Two stages of two blocks: the blocks are the runs to take."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(Layer(), Layer()) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            x = -x
        for stage in self.stages:
            x = stage(x)
        return x


def test_takes_blocks_out_of_stages() -> None:
    sim = simulate(Stages().eval(), example=torch.randn(3, 16))
    report = apply_adascale(sim, [torch.randn(3, 16)], num_iterations=1, progress=False)
    assert [block.name for block in report.blocks] == [f"stages.{i}.{j}" for i in range(2) for j in range(2)]


class Stubborn(Layer):
    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return super().forward(x, scale if x.max() > 0 else -scale)


def test_leaves_out_blocks_that_do_not_export_either() -> None:
    torch.manual_seed(0)
    model = Branchy().eval()
    model.layers[1] = Stubborn().eval()
    model.layers[1].__class__.__name__ = "Stubborn"
    sim = simulate(model, blocks=["layers.*"])
    assert "not captured: layers.1: torch.export refuses the model" in repr(sim)
    report = apply_adascale(sim, branchy_data(), num_iterations=5, progress=False)
    assert [block.name for block in report.blocks] == ["layers.0", "layers.2"]
    (said,) = [line for line in report.not_trained if line.startswith("layers.1")]
    assert said.startswith("layers.1: torch.export refuses"), "its layers are not listed beside it"
