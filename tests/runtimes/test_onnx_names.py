"""Parameters and buffers of ONNX files whose names clash with values of the graph."""

from pathlib import Path

import onnx
import pytest
import torch
from adascale.runtimes import python_runtimes
from onnx_runs import PLAIN, checked, initializers, relative_difference, run_onnxruntime
from torch import Tensor, nn

from adascale import Error, QuantizationSimModel


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)


class LikeAnOutput(Layers):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.rand(16))

    def forward(self, x: Tensor) -> Tensor:
        return (self.b(self.a(x).relu()) + self.mean).mean(-1)


class LikeAnActivation(Layers):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.Parameter(torch.rand(16))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x) + self.relu))


class LikeAnInput(Layers):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("x", torch.rand(16))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x) + self.x))


class LikeAScale(Layers):
    """Of a weight, and of an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.a.register_buffer("weight_scale", torch.rand(16))
        self.linear_scale = nn.Parameter(torch.rand(16))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x) + self.a.weight_scale + self.linear_scale))


class LikeALayer(nn.Module):
    """A quantized weight itself."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.Parameter(torch.randn(16, 16))
        self.b = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.nn.functional.linear(x, self.relu).relu())


@pytest.mark.parametrize("output_bw", [8, 32])
@pytest.mark.parametrize("format_name", ["onnx", "onnx-float", "onnx-matmulnbits"])
@pytest.mark.parametrize(
    ("model", "output", "renamed"),
    [
        (LikeAnOutput, "mean", "mean"),
        (LikeAnActivation, "linear_1", "relu"),
        (LikeAnInput, "linear_1", "x"),
        (LikeAScale, "linear_1", None),
        (LikeALayer, "linear_1", "relu"),
    ],
)
def test_values_keep_their_names(
    model: type[nn.Module], output: str, renamed: str | None, format_name: str, output_bw: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    x = torch.rand(4, 16)
    sim = QuantizationSimModel(model().eval(), x, param_bw=8, output_bw=output_bw)
    sim.compute_encodings(lambda simulated: simulated(x))
    (path,) = sim.export(tmp_path, "m", formats=[format_name])
    stored = initializers(checked(Path(path)))
    assert renamed is None or (f"{renamed}_value" in stored and renamed not in stored)
    (got,) = run_onnxruntime(Path(path), {"x": x}, PLAIN)
    assert relative_difference(got, sim.model(x)) < (0.02 if output_bw == 8 else 1e-5)
    (runtime,) = (found for found in python_runtimes() if found.name == "onnxruntime-exact")
    (found,) = runtime.open(str(tmp_path), ["x"], [output])({"x": x})
    assert found is not None and relative_difference(found, got) < (0.1 if output_bw == 8 else 1e-5)


def test_an_invalid_graph_is_an_objection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(document: onnx.ModelProto) -> None:
        assert {"a.weight", "relu_value", "x"} <= {value.name for value in document.graph.input}
        raise onnx.checker.ValidationError("not in single static assignment form")

    sim = QuantizationSimModel(LikeAnActivation().eval(), torch.rand(4, 16), output_bw=32)
    monkeypatch.setattr("onnx.checker.check_model", refuse)
    with pytest.raises(
        Error, match="onnx: onnx.checker refuses what torch.onnx made: .*not in single static"
    ):
        sim.export(tmp_path / "out", "m", formats=["onnx"])
    assert not (tmp_path / "out").exists()
