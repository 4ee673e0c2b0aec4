"""With every quantizer off, sim.model is the model: same outputs, types and names."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_models import ConsecutiveBlocks, SmallCnn, Spelled, float_sim, randomize_batch_norms
from torch import Tensor, nn

from adascale import Error

transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 99,
}


def tiny_bert() -> nn.Module:
    return transformers.BertModel(transformers.BertConfig(**SIZES)).eval()


def tiny_llama() -> nn.Module:
    config = transformers.LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True)
    return transformers.LlamaForCausalLM(config).eval()


def tokens(batch: int, length: int) -> Tensor:
    return torch.randint(0, 99, (batch, length))


def masked(batch: int, length: int) -> dict[str, Tensor]:
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[-1, length // 2 :] = 0
    return {"input_ids": tokens(batch, length), "attention_mask": mask}


MODELS: dict[str, tuple[Callable[[], nn.Module], Any, Any]] = {
    "mlp": (lambda: ConsecutiveBlocks(16, 2).eval(), torch.rand(4, 3, 4, 16), torch.rand(7, 5, 2, 16)),
    "cnn": (
        lambda: randomize_batch_norms(SmallCnn()).eval(),
        torch.rand(2, 3, 9, 9),
        torch.rand(5, 3, 12, 10),
    ),
    "lstm": (lambda: nn.LSTM(6, 5, batch_first=True).eval(), torch.rand(2, 4, 6), torch.rand(3, 4, 6)),
    "bert": (tiny_bert, masked(2, 8), masked(3, 11)),
    "llama": (tiny_llama, masked(2, 8), masked(3, 11)),
}


def call(model: nn.Module, inputs: Any) -> Any:
    with torch.no_grad():
        return model(**inputs) if isinstance(inputs, dict) else model(inputs)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_equal_pytorchs(name: str) -> None:
    make, dummy_input, other = MODELS[name]
    model = make()
    sim = float_sim(model, dummy_input)
    for inputs in (dummy_input, other):
        expected, got = call(model, inputs), call(sim.model, inputs)
        torch.testing.assert_close(got, _without_cache(expected), rtol=0, atol=1e-6)


def _without_cache(output: Any) -> Any:
    if getattr(output, "past_key_values", None) is not None:
        return type(output)(logits=output.logits)
    return output


def test_model_output_keeps_its_class() -> None:
    model = tiny_bert()
    output = float_sim(model, masked(2, 8)).model(**masked(2, 8))
    assert type(output) is type(call(model, masked(2, 8)))
    assert output.last_hidden_state.shape == (2, 8, 32) and output.pooler_output.shape == (2, 32)


def test_transformers_model_is_put_back() -> None:
    model = tiny_llama()
    sim = float_sim(model, tokens(2, 8))
    assert model.config.use_cache and sim.model.config is model.config
    weight = sim.model.get_parameter("lm_head.weight")
    assert weight is sim.model.get_parameter("model.embed_tokens.weight")
    assert weight.data_ptr() == model.lm_head.weight.data_ptr()


class ByName(nn.Module):
    """A model whose arguments may all be named, for a dict as dummy_input."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Spelled()

    def forward(
        self, x: Tensor, y: Tensor, scale: float = 2.0, *, mask: Tensor | None = None, **more: Tensor
    ) -> Any:
        return self.inner(x, y, scale, mask=mask, **more)


@pytest.fixture(scope="module")
def spelled() -> tuple[nn.Module, nn.Module]:
    """A model, and its simulation captured with x, y, mask and extra."""
    model, x = ByName().eval(), torch.rand(2, 6)
    return model, float_sim(model, {"x": x, "y": x, "mask": x, "extra": x}).model


def test_arguments_by_position_or_name(spelled: tuple[nn.Module, nn.Module]) -> None:
    model, simulated = spelled
    x, y, m, e = torch.rand(4, 5, 6)
    expected = model(x, y, mask=m, extra=e)
    for got in (
        simulated(x, y, mask=m, extra=e),
        simulated(extra=e, mask=m, y=y, x=x),
        simulated(x, y=y, extra=e, mask=m, scale=2.0),
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
        assert got["pair"][1] is None and got["count"] == 3


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"mask": None}, Error, "mask: got NoneType, expected a tensor as in dummy_input"),
        ({"scale": 3.0}, Error, "argument 'scale' is not in dummy_input"),
        ({"other": torch.ones(5, 6)}, Error, "argument 'other' is not in dummy_input"),
        ({"y": 3}, Error, "y: got int, expected a tensor"),
    ],
)
def test_arguments_that_do_not_fit(
    spelled: tuple[nn.Module, nn.Module], change: dict[str, Any], kind: type[Exception], text: str
) -> None:
    x = torch.rand(5, 6)
    with pytest.raises(kind, match=text):
        spelled[1](**{"x": x, "y": x, "mask": x, "extra": x, **change})


def test_missing_argument(spelled: tuple[nn.Module, nn.Module]) -> None:
    x = torch.rand(5, 6)
    with pytest.raises(Error, match="argument 'mask' is missing"):
        spelled[1](x, x, extra=x)
    with pytest.raises(TypeError, match="sim.model: missing a required argument: 'y'"):
        spelled[1](x)


def test_numbers_are_fixed_by_the_example() -> None:
    x = torch.rand(2, 6)
    model = Spelled().eval()
    sim = float_sim(model, (x, x, 3.0))
    torch.testing.assert_close(sim.model(x, x, 3.0), model(x, x, 3.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(sim.model(x, x), model(x, x, 3.0), rtol=0, atol=1e-6)
    with pytest.raises(Error, match=r"scale: got 4.0, but dummy_input fixed it at 3.0"):
        sim.model(x, x, 4.0)


def test_names_and_tied_weights_stay() -> None:
    model = Spelled().eval()
    x = torch.rand(2, 6)
    simulated = float_sim(model, (x, x)).model
    assert list(simulated.state_dict()) == list(model.state_dict())
    assert [name for name, _ in simulated.named_parameters()] == [
        name for name, _ in model.named_parameters()
    ]
    assert [name for name, _ in simulated.named_buffers()] == ["shift"]
    assert [name for name, _ in simulated.named_modules()] == [name for name, _ in model.named_modules()]
    assert simulated.first.weight is simulated.second.weight
    assert not any(parameter.requires_grad for parameter in simulated.parameters())
