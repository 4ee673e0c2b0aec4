"""fold_batch_norms from Python: sim.model, the state of the user's module, and the exported files."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from adascale import QuantizationSimModel, apply_adascale, quantize


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + x)


class Net(nn.Module):
    """Two residual blocks, and a batch norm after an addition, which stays."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.blocks(x) + x)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    net = Net().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.3, 3)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return net


def off_sim(model: nn.Module, **options: bool) -> QuantizationSimModel:
    x = torch.randn(2, 8, 6, 6)
    return QuantizationSimModel(model, x, default_param_bw=32, default_output_bw=32, **options)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return ((got - expected).abs().max() / expected.abs().max()).item()


def test_is_off_unless_asked(model: nn.Module) -> None:
    sim = off_sim(model)
    assert "batch norm" not in repr(sim)
    assert set(sim.model.state_dict()) == set(model.state_dict())


def test_shows_the_folded_names_and_says_what_stays(model: nn.Module) -> None:
    x = torch.randn(3, 8, 6, 6)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sim = off_sim(model, fold_batch_norms=True)
    assert relative_error(sim.model(x), model(x)) < 1e-5
    names = set(sim.model.state_dict())
    assert {"blocks.0.conv1.bias", "blocks.0.conv2.bias", "norm.running_mean"} <= names
    assert not any(".bn" in name for name in names)
    assert not torch.equal(sim.model.state_dict()["blocks.0.conv1.weight"], before["blocks.0.conv1.weight"])
    assert "batch norm: blocks.0.bn1 folded into blocks.0.conv1" in repr(sim)
    assert "batch norm: norm stays: it follows (root) (add_2), which is no convolution or linear" in repr(sim)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_in_place_leaves_the_module_computing_the_same(model: nn.Module) -> None:
    x = torch.randn(3, 8, 6, 6)
    expected = model(x)
    sim = off_sim(model, fold_batch_norms=True, in_place=True)
    assert relative_error(sim.model(x), expected) < 1e-5
    assert relative_error(model(x), expected) < 1e-5


def test_trains_and_exports_what_it_folded(model: nn.Module, tmp_path: Path) -> None:
    torch.manual_seed(1)
    data = [torch.randn(4, 8, 6, 6) for _ in range(4)]
    sim = QuantizationSimModel(model, data[0], default_param_bw=4, default_output_bw=8, fold_batch_norms=True)
    report = apply_adascale(sim, data, num_iterations=200, progress=False)
    assert [block.name for block in report.blocks] == ["blocks.0", "blocks.1"]
    assert all(block.loss_after < block.loss_before for block in report.blocks)
    sim.compute_encodings(lambda simulated: [simulated(x) for x in data])
    sim.export(str(tmp_path), "net")
    x = torch.randn(2, 8, 6, 6)
    saved = torch.export.load(tmp_path / "net.pt2").module()
    assert torch.equal(saved(x), sim.model(x))
    tensors = load_file(tmp_path / "net.safetensors")
    assert set(tensors) == set(sim.model.state_dict())
    assert torch.equal(tensors["blocks.1.conv1.bias"], sim.model.state_dict()["blocks.1.conv1.bias"])


@pytest.mark.parametrize("fold", [True, False])
def test_the_line_to_load_a_file_refuses_a_model_that_has_its_norms(
    fold: bool, model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(8, 8, 6, 6)
    quantize(
        model,
        tmp_path,
        x,
        recipe="clip",
        formats=["safetensors", "pt2"],
        fold_batch_norms=fold,
        progress=False,
    )
    (line,) = (
        one["how_to_load"]
        for one in json.loads((tmp_path / "report.json").read_text())["formats"]
        if one["name"] == "safetensors"
    )
    monkeypatch.chdir(tmp_path)
    again = Net().eval()
    if fold:
        with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: .*"blocks.0.bn1.weight"'):
            exec(line, {"safetensors": safetensors, "model": again})
        return
    exec(line, {"safetensors": safetensors, "model": again})
    saved = torch.export.load("Net.pt2").module()
    torch.testing.assert_close(again(x), saved(x))
