"""The operations that sim.model refuses, in one line, and those that it permits."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import ConsecutiveBlocks, seed_loader, seed_sim
from torch import nn

from adascale import Error, QuantizationSimModel, apply_adascale


@pytest.fixture
def simulated() -> nn.Module:
    return seed_sim(ConsecutiveBlocks(16, 2).eval(), torch.rand(2, 3, 4, 16)).model


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "train": (lambda m: m.train(), "captured in eval mode"),
    "half": (lambda m: m.half(), "captured for torch.float32 on cpu"),
    "double": (lambda m: m.double(), "captured for torch.float32 on cpu"),
    "to dtype": (lambda m: m.to(torch.bfloat16), "convert the model first"),
    "to device": (lambda m: m.to("meta"), "captured for torch.float32 on cpu"),
    "requires_grad_": (lambda m: m.requires_grad_(), "no gradients"),
    "load_state_dict": (lambda m: m.load_state_dict(m.state_dict()), "simulate it anew"),
    "a part": (lambda m: m.get_submodule("linear_blocks.0")(torch.rand(1, 16)), "only the whole model"),
    "deepcopy": (copy.deepcopy, "cannot be copied"),
    "pickle": (pickle.dumps, "cannot be pickled"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(simulated: nn.Module, name: str) -> None:
    act, text = REFUSED[name]
    before = {key: value.clone() for key, value in simulated.state_dict().items()}
    with pytest.raises(Error, match=text) as raised:
        act(simulated)
    assert "\n" not in str(raised.value)
    assert all(torch.equal(before[key], value) for key, value in simulated.state_dict().items())


def test_lets_pass_what_changes_nothing(simulated: nn.Module) -> None:
    x = torch.rand(2, 3, 4, 16)
    expected = simulated(x)
    for same in (
        simulated.eval(),
        simulated.train(False),
        simulated.to("cpu"),
        simulated.float(),
        simulated.cpu(),
    ):
        assert same is simulated
    assert not simulated.training
    assert torch.equal(simulated(x), expected)


def test_shows_the_models_own_tree(simulated: nn.Module) -> None:
    text = repr(simulated)
    assert "SimulatedModel of ConsecutiveBlocks" in text and "(relu1): ReLU()" in text


def test_edit_of_a_shared_weight_is_refused() -> None:
    model = ConsecutiveBlocks(16, 2).eval()
    x = torch.rand(2, 3, 4, 16)
    sim = seed_sim(model, x)
    with torch.no_grad():
        model.linear_blocks[0].fc1.weight.mul_(2)
    with pytest.raises(Error, match="linear_blocks.0.fc1.weight: the tensor was changed"):
        sim.model(x)


def test_edit_after_folding_does_not_matter() -> None:
    model = ConsecutiveBlocks(16, 2).eval()
    loader = seed_loader(16)
    sim = seed_sim(model, loader[0])
    apply_adascale(sim, loader, progress=False)
    expected = sim.model(loader[0])
    with torch.no_grad():
        model.linear_blocks[0].fc1.weight.mul_(2)
    assert torch.equal(sim.model(loader[0]), expected)


def test_print_shows_the_quantizers() -> None:
    sim = seed_sim(ConsecutiveBlocks(16, 2).eval(), torch.rand(2, 3, 4, 16))
    assert "linear_blocks.1.fc2.weight 16x8 int4 symmetric per channel" in str(sim)
    assert repr(sim) == str(sim)


def test_a_layer_whose_weight_is_computed_is_named() -> None:
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    sim = QuantizationSimModel(nn.Sequential(normed, nn.Linear(8, 8)).eval(), torch.rand(2, 8))
    assert "not quantized: 0 (linear): its weight is computed from" in repr(sim)


class UnluckyNames(nn.Module):
    """Submodules with names that ours might have; the attributes that loops read."""

    def __init__(self) -> None:
        super().__init__()
        self._core, self._recorded = nn.Linear(4, 4), nn.Linear(4, 4)
        self._signature = nn.ModuleDict({"_shown_as": nn.Linear(4, 4)})

    @property
    def device(self) -> torch.device:
        return self._core.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self._core.weight.dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._signature["_shown_as"](self._recorded(self._core(x)))


def test_a_users_names_never_meet_ours() -> None:
    model, x = UnluckyNames().eval(), torch.rand(2, 4)
    sim = seed_sim(model, x)
    assert set(sim.model.state_dict()) == set(model.state_dict())
    assert (sim.model.device, sim.model.dtype) == (torch.device("cpu"), torch.float32)
    apply_adascale(sim, [x], num_iterations=1, progress=False)
    sim.compute_encodings(lambda simulated: simulated(x))
    assert torch.allclose(sim.model(x), model(x), atol=0.5)
