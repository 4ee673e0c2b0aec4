"""An iteration's work on a device: launches, waits of the host, copies. Their bounds need no GPU."""

from __future__ import annotations

from typing import Any

import fake_device
import pytest
import torch
from both_sides import CPU
from pairs import FAKE, tensor_operators
from torch import Tensor, nn

import adascale
from adascale import _C

ITERATIONS = 20
# Launches of one iteration at 04dae74, counted on a prototype of the fake device.
SIX_LINEARS, LLAMA_FLOAT32, LLAMA_BFLOAT16 = 382, 505, 538


class SixLinears(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def per_iteration(sim: Any, data: list[Any], **training: Any) -> fake_device.Counts:
    """Counts of ITERATIONS iterations: the difference of two runs, since measuring is the same in both."""
    found = []
    for iterations in (ITERATIONS, 2 * ITERATIONS):
        with tensor_operators(), fake_device.counting() as counted:
            adascale.apply_adascale(sim(), data, num_iterations=iterations, progress=False, **training)
        found.append(counted)
    return found[1] - found[0]


def make_sim(model: nn.Module, example: Any, **options: Any) -> Any:
    return lambda: adascale.QuantizationSimModel(
        model, example, default_param_bw=4, default_output_bw=32, **options
    )


@pytest.fixture
def runs_ahead() -> Any:
    _C.set_traits("fake", runs_ahead=True, pins_memory=True)
    yield
    _C.set_traits("fake")


def six_linears() -> tuple[nn.Module, list[Tensor]]:
    return SixLinears().eval().to(FAKE), [torch.randn(4, 16, device=FAKE) for _ in range(4)]


def llama_block(dtype: torch.dtype) -> tuple[nn.Module, list[dict[str, Tensor]]]:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config).to(dtype).eval().to(FAKE)
    return model, [{"input_ids": torch.randint(0, 64, (2, 12), device=FAKE)} for _ in range(4)]


def test_launches_of_six_linears(runs_ahead: None) -> None:
    model, data = six_linears()
    counted = per_iteration(make_sim(model, data[0]), data)
    assert counted.launches / ITERATIONS <= SIX_LINEARS
    assert counted.syncs <= 1, "the loss is looked at once in 20 iterations"
    assert counted.to_device == 0, "what an iteration reads is there"
    assert counted.to_host <= 1


@pytest.mark.parametrize("dtype, allowed", [(torch.float32, LLAMA_FLOAT32), (torch.bfloat16, LLAMA_BFLOAT16)])
def test_launches_of_a_llama_block(runs_ahead: None, dtype: torch.dtype, allowed: int) -> None:
    model, data = llama_block(dtype)
    counted = per_iteration(make_sim(model, data[0]), data, blocks=["model.layers.*"])
    assert counted.launches / ITERATIONS <= allowed
    assert counted.syncs <= 1
    assert counted.to_device == 0


def test_casts_to_bfloat16_are_all_that_lower_precision_adds() -> None:
    """Each layer casts input, weight and output in forward and backward, attention its operands."""
    model, data = llama_block(torch.float32)
    wide = per_iteration(make_sim(model, data[0]), data, blocks=["model.layers.*"], precision="float32")
    _C.set_traits("fake", multiplies_bfloat16=True, fuses_attention=True)
    try:
        short = per_iteration(make_sim(model, data[0]), data, blocks=["model.layers.*"])
    finally:
        _C.set_traits("fake")
    layers, attention = 7, 4
    assert short.launches - wide.launches <= ITERATIONS * 2 * (3 * layers + attention + 4)


def test_without_the_trait_the_loss_is_read_each_iteration() -> None:
    model, data = six_linears()
    assert per_iteration(make_sim(model, data[0]), data).syncs == ITERATIONS


def test_batches_that_wait_on_the_host_are_copied_once_each_and_ahead(runs_ahead: None) -> None:
    model, data = six_linears()
    first, second = nn.Sequential(model, nn.Linear(16, 16)), nn.Sequential(SixLinears(), nn.ReLU())
    model = nn.Sequential(first, second).eval().to(FAKE)
    training = {"device_activation_memory": 0, "blocks": ["1"]}
    counted = per_iteration(make_sim(model, data[0]), data, **training)
    assert counted.to_device == 2 * ITERATIONS, "an input and a target"
    assert counted.syncs <= 1, "page-locked memory is copied from without waiting"


def test_state_that_waits_on_the_host_is_copied_once_a_block() -> None:
    model, data = six_linears()
    model = model.to(CPU)
    assert per_iteration(make_sim(model, data[0], device="fake"), data).to_device == 0
