"""The inputs that torch.export gets, and the texts of its refusals."""

import json
import logging

import pytest
import torch
from adascale.capture import capture
from small_models import ConsecutiveBlocks, seed_sim
from torch import Tensor, nn

from adascale import Error, QuantizationSimModel


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x.relu()
        return x


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + {"one": 1}["two"]


class BatchOfOne(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.view(1, 6))


def open_dims(model: nn.Module, x: Tensor) -> list[bool]:
    graph = json.loads(capture(model, x).graph)["graph_module"]["graph"]
    return ["as_expr" in size for size in graph["tensor_values"]["x"]["sizes"]]


def test_every_dimension_the_model_leaves_open_is() -> None:
    assert open_dims(ConsecutiveBlocks(16, 1).eval(), torch.rand(4, 4, 4, 16)) == [True, True, True, False]


def test_batch_of_one_is_left_open() -> None:
    assert open_dims(ConsecutiveBlocks(16, 1).eval(), torch.rand(1, 4, 4, 16)) == [True, True, True, False]


def test_model_for_a_batch_of_one_only(caplog: pytest.LogCaptureFixture) -> None:
    sim = seed_sim(BatchOfOne().eval(), torch.rand(1, 6))
    assert "takes a batch of 1 only" in caplog.text and "return self.fc(x.view(1, 6))" in caplog.text
    assert sim.model(torch.rand(1, 6)).shape == (1, 6)
    with pytest.raises(Error, match="x"):
        sim.model(torch.rand(2, 6))


class SharedPositions(nn.Module):
    """One row of positions for all samples: its leading 1 is no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.places = nn.Linear(6, 6), nn.Embedding(9, 6)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        return self.fc(x + self.places(positions.reshape(1, 5)))


def test_only_the_batch_is_doubled_where_not_all_can_be() -> None:
    model, positions = SharedPositions().eval(), torch.arange(5)[None]
    sim = QuantizationSimModel(model, (torch.rand(1, 5, 6), positions))
    x = torch.rand(3, 5, 6)
    assert torch.allclose(sim.model(x, positions), model(x, positions), atol=0.2)


def test_tensors_are_the_models_own() -> None:
    model = ConsecutiveBlocks(16, 1).eval()
    tensors = capture(model, torch.rand(2, 16)).tensors
    assert all(tensors[name] is parameter for name, parameter in model.named_parameters())


def test_one_tensor_for_two_arguments() -> None:
    class Subtract(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x - y

    x, y = torch.rand(2, 3, 4)
    sim = seed_sim(Subtract(), (x, x))
    assert torch.equal(sim.model(x, y), x - y)


@pytest.mark.parametrize(
    ("model", "line", "reason"),
    [
        (Branches(), "if x.sum() > 0:", "data-dependent"),
        (Raises(), 'return x + {"one": 1}["two"]', "KeyError: 'two'"),
        (nn.Linear(3, 3), "return F.linear", ""),
    ],
)
def test_refusal_names_the_line(
    model: nn.Module, line: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Error) as raised:
        QuantizationSimModel(model.eval(), torch.rand(2, 4))
    text = str(raised.value)
    assert "\n" not in text and "torch.export refuses the model" in text and reason in text
    runs = isinstance(model, Branches)
    assert text.startswith("torch.export refuses" if runs else "the example: the model does not run on it")
    if "Linear" not in type(model).__name__:
        assert f'in forward, "{line}"' in text and "test_capture.py:" in text
    assert raised.value.__cause__ is not None
    assert capfd.readouterr().err == ""


def test_train_mode_is_put_back_and_said(caplog: pytest.LogCaptureFixture) -> None:
    model = ConsecutiveBlocks(16, 2).train()
    model.linear_blocks[1].eval()
    before = [module.training for module in model.modules()]
    x = torch.rand(2, 3, 4, 16)
    with caplog.at_level(logging.WARNING, "adascale"):
        sim = seed_sim(model, x, default_param_bw=32, default_output_bw=32)
    assert "the model is in train mode" in caplog.text
    assert [module.training for module in model.modules()] == before
    torch.testing.assert_close(sim.model(x), model.eval()(x))


def test_train_mode_is_put_back_when_capture_fails() -> None:
    model = Branches().train()
    with pytest.raises(Error):
        QuantizationSimModel(model, torch.rand(2, 4))
    assert model.training


RECURRENT = {
    "lstm": nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True),
    "lstm with projections": nn.LSTM(6, 5, proj_size=3),
    "gru": nn.GRU(6, 5, bidirectional=True),
    "rnn": nn.RNN(6, 5, batch_first=True),
    "rnn of relu": nn.RNN(6, 5, nonlinearity="relu"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_take_any_length(name: str) -> None:
    model = RECURRENT[name].eval()
    sim = QuantizationSimModel(model, torch.rand(3, 4, 6), param_bw=32, output_bw=32)
    for shape in ((3, 4, 6), (2, 9, 6), (7, 1, 6)):
        x = torch.rand(shape)
        with torch.no_grad():
            torch.testing.assert_close(sim.model(x), model(x))


def test_capture_leaves_torchs_recurrent_kernels_alone() -> None:
    lstm = torch.ops.aten.lstm.input
    before = dict(lstm.py_kernels)
    capture(RECURRENT["lstm"].eval(), torch.rand(3, 4, 6))
    assert before and lstm.py_kernels == before
