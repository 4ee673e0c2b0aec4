"""Models that torch.export refuses as a whole, simulated and trained block by block."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from adascale import Error, QuantizationSimModel, apply_adascale

BLOCKS = [f"layers.{i}" for i in range(3)]


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.down(torch.relu(self.up(x)))


class Branchy(nn.Module):
    """Its way depends on the data's values."""

    def __init__(self, layer: type[nn.Module] = Layer) -> None:
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.layers = nn.ModuleList(layer() for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.sum() > 0:
            x = -x
        for layer in self.layers:
            x = layer(x, scale=0.5)
        return self.head(x)


def branchy_data(count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(6, 8, generator=generator) for _ in range(count)]


@pytest.fixture
def branchy() -> nn.Module:
    torch.manual_seed(0)
    return Branchy().eval()


def simulate(model: nn.Module, bits: int = 4, output_bw: int = 32, **options: Any) -> QuantizationSimModel:
    example = options.pop("example", branchy_data(1)[0])
    return QuantizationSimModel(model, example, default_param_bw=bits, default_output_bw=output_bw, **options)


def copies(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)}


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
    """The same, with something between the blocks."""

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
        sim._core._float_model.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        report = apply_adascale(sim, data, num_iterations=20, progress=False)
        runs.append(len(count))
        losses.append([(block.loss_before, block.loss_after) for block in report.blocks])
    assert losses[0] == losses[1]
    assert runs == [2 * len(data), 4 * len(data)]  # one to look, one to each block that is run up to


class Wayward(Layer):
    """Takes another way where values are large, which the capture does not see."""

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
    with pytest.raises(Error, match="in_place=True would overwrite"):
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


def test_refuses_a_second_training_and_one_after_calibration(branchy: nn.Module) -> None:
    sim, data = simulate(branchy), branchy_data(2)
    apply_adascale(sim, data, num_iterations=2, progress=False)
    with pytest.raises(Error, match="called twice"):
        apply_adascale(sim, data, num_iterations=2, progress=False)


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
        Error, match="torch.export refuses.*nor does it run as it is: mat1 and mat2"
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
    assert any(line.startswith("layers.1: torch.export refuses") for line in report.not_trained)
    assert "layers.1.up: outside every block, full precision" in report.not_trained


def test_notices_edits_outside_the_blocks(branchy: nn.Module) -> None:
    data = branchy_data(2)
    for edited in ("head", "stem"):
        sim = simulate(branchy)
        sim.model(data[0])
        with torch.no_grad():
            branchy.get_submodule(edited).weight.mul_(3)
        refusal = f"^{edited}.weight: the tensor was changed after the simulation was made"
        with pytest.raises(Error, match=refusal):
            sim.model(data[0])
        with pytest.raises(Error, match=refusal):
            apply_adascale(sim, data, num_iterations=2, progress=False)


class Counting(Branchy):
    """Writes to a buffer of its own as it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(x)


def test_lets_be_what_the_model_writes_itself() -> None:
    torch.manual_seed(0)
    sim = simulate(Counting().eval())
    apply_adascale(sim, branchy_data(2), num_iterations=2, progress=False)
    sim.model(branchy_data(1)[0])


def test_refuses_weights_tied_across_blocks(branchy: nn.Module) -> None:
    branchy.layers[2].up.weight = branchy.layers[0].up.weight
    with pytest.raises(
        Error, match=r"layers\.0\.up\.weight and layers\.2\.up\.weight are one tensor"
    ) as raised:
        simulate(branchy)
    assert "layer_config={'layers.0.up': {'param_bw': 32}, 'layers.2.up': {'param_bw': 32}}" in str(
        raised.value
    )
    sim = simulate(branchy, layer_config={f"layers.{i}.up": {"param_bw": 32} for i in (0, 2)})
    apply_adascale(sim, branchy_data(2), num_iterations=2, progress=False)
    shown = sim.model.state_dict()
    assert torch.equal(shown["layers.0.up.weight"], shown["layers.2.up.weight"])


def test_refuses_a_module_that_two_blocks_hold(branchy: nn.Module) -> None:
    branchy.layers[1].down = branchy.layers[0].down
    with pytest.raises(Error, match=r"layers\.0\.down\.weight and layers\.1\.down\.weight are one tensor"):
        simulate(branchy)


def test_refuses_weights_tied_to_what_is_outside(branchy: nn.Module) -> None:
    branchy.head = nn.Linear(16, 32)
    branchy.head.weight = branchy.layers[1].up.weight
    with pytest.raises(Error, match=r"layers\.1\.up\.weight and head\.weight are one tensor") as raised:
        simulate(branchy)
    assert "layer_config={'layers.1.up': {'param_bw': 32}}" in str(raised.value)


def test_ties_of_what_is_not_quantized_stay(branchy: nn.Module) -> None:
    branchy.layers[2].up.bias = branchy.layers[0].up.bias
    branchy.stem.bias = branchy.layers[1].down.bias
    branchy.alias = branchy.layers[1].up  # another name of a block's own module
    apply_adascale(simulate(branchy), branchy_data(2), num_iterations=2, progress=False)


class InPlace(Layer):
    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        x += super().forward(x, scale)
        return x


def test_takes_blocks_that_write_to_their_input() -> None:
    torch.manual_seed(0)
    model, data = Branchy(InPlace).eval(), branchy_data()
    exact = simulate(model, bits=32)
    assert "not captured" not in repr(exact)
    torch.testing.assert_close(exact.model(data[1]), model(data[1]))
    report = apply_adascale(simulate(model), data, num_iterations=50, progress=False)
    assert [block.name for block in report.blocks] == BLOCKS
    assert all(block.loss_after < block.loss_before for block in report.blocks)


def test_says_what_was_folded_before_a_block_failed(branchy: nn.Module) -> None:
    with torch.no_grad():
        branchy.layers[2].down.bias.fill_(1e38)
    before = copies(branchy)
    sim = simulate(branchy)
    failure = r"^layers\.2: .*not finite.*; folded already, and kept so: layers\.0, layers\.1$"
    with pytest.raises(Error, match=failure):
        apply_adascale(sim, branchy_data(), num_iterations=20, progress=False)
    assert changed(before, sim.model) == {
        f"layers.{i}.{name}.weight" for i in (0, 1) for name in ("up", "down")
    }


class Skipping(Branchy):
    """Batches of a negative first value pass over the middle block."""

    def forward(self, x: Tensor) -> Tensor:
        is_skipped = x[0, 0] < 0
        x = self.stem(x)
        for index, layer in enumerate(self.layers):
            if index != 1 or not is_skipped:
                x = layer(x, scale=0.5)
        return self.head(x)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"lr_scale": 0.0}, "^lr_scale: got 0, expected more than 0$"),
        ({"recipe": "rtn"}, "^apply_adascale: recipe rtn trains nothing; leave out epochs and iterations$"),
        ({"train_outside": True}, "^train_outside: got True, but of a model simulated block by block"),
        ({"held_out_batches": 4}, r"layers\.0: held_out_batches: got 4 of the 4 batches that reach it"),
        (
            {"held_out_batches": 2},
            r"layers\.1: held_out_batches: got 2 of the 2 batches that reach it, expected 0 to 1$",
        ),
    ],
)
def test_refuses_options_before_it_folds_a_block(options: dict[str, Any], refusal: str) -> None:
    torch.manual_seed(0)
    model, data = Skipping().eval(), branchy_data()
    for number, x in enumerate(data):
        x[0, 0] = 1 - 2 * (number % 2)
    sim = simulate(model, example=data[0])
    before = copies(sim.model)
    with pytest.raises(Error, match=refusal):
        apply_adascale(sim, data, num_iterations=2, progress=False, **options)
    assert not changed(before, sim.model)


def test_bfloat16_is_for_the_blocks_that_take_it(branchy: nn.Module) -> None:
    def train(*wide: str) -> list[str]:
        sim = simulate(branchy, layer_config={f"{path}.*": {"param_bw": 6} for path in wide})
        before = copies(sim.model)
        try:
            report = apply_adascale(
                sim, branchy_data(2), num_iterations=2, precision="bfloat16", progress=False
            )
        except Error:
            assert not changed(before, sim.model)
            raise
        return [block.name for block in report.blocks]

    assert train("layers.1") == BLOCKS
    with pytest.raises(Error, match="^precision: got bfloat16, but no weight takes it"):
        train(*BLOCKS)


def test_says_why_nothing_is_trained(branchy: nn.Module) -> None:
    data = branchy_data(2)
    with pytest.raises(Error, match="^apply_adascale: no block can be trained: ") as raised:
        apply_adascale(simulate(branchy, bits=16), data, num_iterations=2, progress=False)
    assert all(f"{path}: none of its layers has 2 to 8 bits to train" in str(raised.value) for path in BLOCKS)
    report = apply_adascale(simulate(branchy, bits=16), data, recipe="rtn", progress=False)
    assert [block.name for block in report.blocks] == BLOCKS
    assert "layers.0.up: 16 bits keep round-to-nearest: AdaScale trains 2 to 8" in report.not_trained


IMAGE, TEXT, PATCHES = 100, 24, 32


def vision_language_model() -> nn.Module:
    torch.manual_seed(0)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 128,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "rope_parameters": rope,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 16,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1, 2],
        },
        image_token_id=IMAGE,
        video_token_id=101,
        vision_start_token_id=102,
        vision_end_token_id=103,
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def image_and_text(seed: int, height: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    patches = height * 8
    ids = torch.randint(3, 99, (1, TEXT), generator=generator)
    ids[0, 3], ids[0, 4 : 4 + patches // 4], ids[0, 4 + patches // 4] = 102, IMAGE, 103
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(patches, 3 * 2 * 4 * 4, generator=generator),
        "image_grid_thw": torch.tensor([[1, height, 8]]),
        "mm_token_type_ids": (ids == IMAGE).int(),
    }


def test_a_vision_language_model(tmp_path: Path) -> None:
    model = vision_language_model()
    before, data = copies(model), [image_and_text(seed) for seed in range(1, 5)]
    with torch.no_grad():
        expected = model(**data[0]).logits
    sim = simulate(model, output_bw=16, example=data[0])
    layers = [f"model.language_model.layers.{i}" for i in range(2)]
    towers = [f"model.visual.blocks.{i}" for i in (1, 2)]  # 0 looks through windows that depend on the data
    assert "not captured: model.visual.blocks.0: torch.export refuses the model" in repr(sim)
    rounded, runs = sim.model(**data[0]).logits, []
    sim._core._float_model.register_forward_pre_hook(lambda *_: runs.append(1))

    report = apply_adascale(sim, data, num_iterations=100, progress=False)
    assert len(runs) == 3 * len(data)  # one to look, one up to each tower: the rest goes from block to block
    assert [block.name for block in report.blocks] == towers + layers
    assert all(block.loss_after < block.loss_before for block in report.blocks)
    assert all(name.startswith((*towers, *layers)) for name in changed(before, sim.model))
    assert len(changed(before, sim.model)) == sum(len(block.layers) for block in report.blocks)
    assert not changed(before, model)
    trained = sim.model(**data[0]).logits
    assert (trained - expected).square().sum() < (rounded - expected).square().sum()

    sim.compute_encodings(lambda simulated: [simulated(**batch) for batch in data])
    sim.export(str(tmp_path), "vl")
    tensors = load_file(tmp_path / "vl.safetensors")
    assert set(tensors) <= set(before)
    again = vision_language_model()
    again.load_state_dict(tensors, strict=False)
    assert not changed(sim.model.state_dict(), again)
