"""Block by block: a fault that would show late or never is refused before any block is folded."""

from typing import Any

import pytest
import torch
from live_models import BLOCKS, Branchy, Layer, branchy_data, changed, copies, simulate
from torch import Tensor, nn

from adascale import Error, apply_adascale


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
    """Writes to a buffer of its own in its forward."""

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
    assert 'layer_config: {"layers.0.up": {"param_bw": 32}, "layers.2.up": {"param_bw": 32}}' in str(
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
    assert 'layer_config: {"layers.1.up": {"param_bw": 32}}' in str(raised.value)


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
    failure = r"^layers\.2: .*not finite.*; folded before it: layers\.0, layers\.1$"
    with pytest.raises(Error, match=failure):
        apply_adascale(sim, branchy_data(), num_iterations=20, progress=False)
    assert changed(before, sim.model) == {
        f"layers.{i}.{name}.weight" for i in (0, 1) for name in ("up", "down")
    }


class Skipping(Branchy):
    """Batches with a negative first value skip the middle block."""

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
        ({"recipe": "rtn"}, "^recipe='rtn': trains nothing; leave out epochs and iterations$"),
        ({"train_outside": True}, "^train_outside=True, but of a model simulated block by block"),
        ({"held_out_batches": 4}, r"layers\.0, layers\.2: held_out_batches: got 4 of the 4 batches"),
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
    refusal = r"^apply_adascale: no layer in the 3 blocks found can be trained \(.*give them 2 to 8 bits"
    with pytest.raises(Error, match=refusal) as raised:
        apply_adascale(simulate(branchy, bits=16), data, num_iterations=2, progress=False)
    assert all(f"{path}: none of its layers has 2 to 8 bits to train" in str(raised.value) for path in BLOCKS)
    report = apply_adascale(simulate(branchy, bits=16), data, recipe="rtn", progress=False)
    assert [block.name for block in report.blocks] == BLOCKS
    assert "layers.0.up: 16 bits keep round-to-nearest: AdaScale trains 2 to 8" in report.not_trained


def test_all_objections_come_at_once_before_a_block_is_folded(branchy: nn.Module) -> None:
    sim, data = simulate(branchy), branchy_data(2)
    before = copies(sim.model)
    with pytest.raises(Error) as raised:
        apply_adascale(
            sim, data, num_iterations=2, progress=False, train_outside=True, lr_scale=0.0, blocks=["layer.*"]
        )
    for text in (
        "blocks: 'layer.*' matches none of the blocks captured: layers.0, layers.1, layers.2",
        "train_outside=True, but of a model simulated block by block",
        "lr_scale: got 0, expected more than 0",
    ):
        assert text in str(raised.value)
    assert not changed(before, sim.model)


class Fragile(Branchy):
    """Fails before its last block on what the first two made, once they are quantized."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.sum() > 0:
            x = -x
        for index, layer in enumerate(self.layers):
            if index == 2 and not hasattr(self.layers[0].forward, "__self__"):
                raise ValueError("no way on")
            x = layer(x, scale=0.5) * 1.0
        return self.head(x)


def test_a_failure_of_the_model_itself_is_one_line_too() -> None:
    torch.manual_seed(0)
    sim = simulate(Fragile().eval())
    with pytest.raises(
        Error, match=r"^layers\.2: ValueError: no way on; folded before it: layers\.0, layers\.1$"
    ):
        apply_adascale(sim, branchy_data(2), num_iterations=2, progress=False)
