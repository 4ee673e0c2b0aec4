"""quantize() and the command on models that torch.export refuses as a whole."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_command import run
from live_models import BLOCKS, Branchy, branchy_data, changed, copies
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import adascale

FEW: dict[str, Any] = {"iterations": 2, "batch_size": 4, "progress": False}
WEIGHTS = {f"{path}.{layer}.weight" for path in BLOCKS for layer in ("up", "down")}

FUNCTIONS = """
import torch
from live_models import Branchy
def branchy():
    return Branchy().eval()
def with_example():
    return branchy(), torch.ones(6, 8)
"""


def metadata_of(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


def test_a_module_that_branches_on_its_data(
    branchy: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = copies(branchy)
    report = adascale.quantize(branchy, tmp_path, branchy_data(), output_bw=8, param_bw=3, **FEW)
    assert [block.name for block in report.blocks] == BLOCKS and not changed(before, branchy)
    assert "stem: outside every block, full precision" in report.not_trained
    said = capsys.readouterr().out
    assert "3 blocks, 6 layers to quantize (6 int3 symmetric per channel)" in said
    assert "data      in memory: 24 samples, 8 batches of 4" in said
    assert 'in forward, "if x.sum() > 0:"' in said
    assert "  stem: outside every block\n" in said and "  head: outside every block\n" in said
    assert "not written: pt2, for which a program of the whole is needed" in said
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"Branchy.safetensors", "Branchy_torch.encodings", "report.html", "report.json"}
    tensors = load_file(tmp_path / "Branchy.safetensors")
    assert {name for name in tensors if not torch.equal(tensors[name], before[name])} == WEIGHTS
    encodings = json.loads((tmp_path / "Branchy_torch.encodings").read_text())
    assert set(encodings["param_encodings"]) == WEIGHTS and "layers.1.up" in encodings["activation_encodings"]
    written = json.loads((tmp_path / "report.json").read_text())
    assert [block["name"] for block in written["blocks"]] == BLOCKS
    assert set(written["plan"]["model"]["layers"]) == {name.removesuffix(".weight") for name in WEIGHTS}
    assert written["plan"]["model"]["full_precision"] == ["stem", "head"]
    assert metadata_of(tmp_path / "Branchy.safetensors")["adascale.plan"] == written["adascale.plan"]


class Fickle(Branchy):
    """Leaves out its second block once the blocks are simulated; a real model would by its values."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.sum() > 0:
            x = -x
        for index, layer in enumerate(self.layers):
            if index != 1 or hasattr(layer.forward, "__self__"):
                x = layer(x, scale=0.5)
        return self.head(x)


def test_a_block_that_nothing_reaches_once_quantized_costs_its_activations_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    adascale.quantize(Fickle().eval(), tmp_path, branchy_data(), output_bw=8, param_bw=3, **FEW)
    encodings = json.loads((tmp_path / "Fickle_torch.encodings").read_text())
    named = {name.rsplit(".", 1)[0] for name in encodings["activation_encodings"]}
    assert "layers.0" in named and "layers.1" not in named
    assert "layers.1.up.weight" in encodings["param_encodings"]
    assert "layers.1: no data reached it: its activations stay in full precision" in caplog.text


def test_it_is_what_the_simulation_gives(branchy: nn.Module, tmp_path: Path) -> None:
    data = branchy_data()
    adascale.quantize(branchy, tmp_path, data, param_bw=4, iterations=20, batch_size=6, progress=False)
    sim = adascale.QuantizationSimModel(branchy, data[0], param_bw=4, output_bw=32)
    adascale.apply_adascale(sim, data, num_iterations=20, progress=False)
    assert not changed(load_file(tmp_path / "Branchy.safetensors"), sim.model)


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "branchy_functions.py").write_text(FUNCTIONS)
    paths = [str(tmp_path), str(Path(__file__).parent)]
    import os

    given = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*paths, *([given] if given else [])]))
    return "branchy_functions:branchy"


def test_the_command_takes_it_from_a_function(function: str, tmp_path: Path) -> None:
    save_file({"x": torch.cat(branchy_data())}, tmp_path / "x.safetensors")
    common = ["--data", tmp_path / "x.safetensors", "--iterations", 2, "--output-dir", tmp_path / "out"]
    dry = run("quantize", function, *common, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "3 blocks, 6 layers to quantize" in dry.stdout and "3 batches of 8" in dry.stdout
    assert "branchy_torch.encodings" in dry.stdout and "branchy.pt2" not in dry.stdout
    assert not (tmp_path / "out").exists()
    done = run("quantize", function, *common)
    assert done.returncode == 0 and "wrote" in done.stdout, done.stderr
    assert (tmp_path / "out" / "branchy.safetensors").exists()
    inspected = run("inspect", function, "--data", tmp_path / "x.safetensors")
    assert inspected.returncode != 0 and "quantize --dry-run shows a model block by block" in inspected.stderr
    assert "Traceback" not in inspected.stderr
    untold = run("inspect", f"{function.partition(':')[0]}:with_example")
    cure = "; adascale quantize with --data and --dry-run shows such a model block by block\n"
    assert untold.returncode == 2 and untold.stderr.endswith(cure), untold.stderr


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"formats": ["safetensors", "pt2"]}, "^export: pt2: this model was captured block by block"),
        ({"formats": ["gguf"]}, "^export: gguf: .*; use safetensors, encodings, hf$"),
        ({"formats": ["hf"]}, "^hf: is the folder that transformers saves"),
        (
            {"outside_bw": 8},
            r"^outside_bw: got 8, but the model is quantized block by block .*name more modules with",
        ),
        ({"train_outside": True}, "^train_outside=True, but of a model simulated block by block"),
        ({"layer_config": {"stem": {"param_bw": 8}}}, "pattern 'stem' matches no layer of the 3 blocks"),
        ({"blocks": ["layer.*"]}, r"blocks: 'layer\.\*' matches no module"),
        (
            {"group_size": 5, "decompressed_bw": 8},
            "layers.0.up: in_features 16 is not a multiple of group_size 5.*layers.2.down",
        ),
        ({"samples": 25}, "^data: 24 samples, but samples asks for 25$"),
        ({"held_out_batches": 8}, "held_out_batches: got 8 of the 8 batches that reach it"),
    ],
)
def test_refuses_before_it_works(
    options: dict[str, Any], refusal: str, branchy: nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(adascale.Error, match=refusal) as raised:
        adascale.quantize(branchy, tmp_path / "out", branchy_data(), **{**FEW, **options})
    assert "\n" not in str(raised.value) and not (tmp_path / "out").exists()


def test_refuses_data_that_is_not_finite(branchy: nn.Module, tmp_path: Path) -> None:
    data = branchy_data()
    data[2][0, 0] = torch.nan
    with pytest.raises(adascale.Error, match="^data: batch 2: 'argument 0' holds NaN or infinity$"):
        adascale.quantize(branchy, tmp_path / "out", data, **FEW)


def test_refuses_batches_without_samples(branchy: nn.Module, tmp_path: Path) -> None:
    empty = torch.empty(0, 8)
    for data, number in ((empty, 0), ([*branchy_data(2), empty], 2)):
        with pytest.raises(adascale.Error, match=f"^data: batch {number} has no samples along dimension 0$"):
            adascale.quantize(branchy, tmp_path / "out", data, **FEW)


def test_takes_the_blocks_named(branchy: nn.Module, tmp_path: Path) -> None:
    report = adascale.quantize(branchy, tmp_path, branchy_data(), blocks=["layers.1"], **FEW)
    assert [block.name for block in report.blocks] == ["layers.1"]
    assert "layers.0.up: outside every block, full precision" in report.not_trained


class TwoSizes(Branchy):
    """Its inputs have different sizes along dimension 0, so that batches cannot be cut."""

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + bias


def test_batches_that_cannot_be_cut_stay_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [{"x": x, "bias": torch.zeros(4)} for x in branchy_data()]
    options = {"iterations": 2, "progress": False}
    adascale.quantize(TwoSizes().eval(), tmp_path, data, samples=3, **options)
    assert "data      in memory: 3 samples, 3 batches\n" in capsys.readouterr().out
    with pytest.raises(
        adascale.Error, match="^batch_size: got 2, but the data comes in batches that cannot be cut"
    ):
        adascale.quantize(TwoSizes().eval(), tmp_path / "out", data, batch_size=2, **options)


class Failing(Branchy):
    """Fails on large values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.max() > 50:
            raise ValueError("too large\nto compute")
        return super().forward(x)


def test_the_models_own_error_is_one_line(tmp_path: Path) -> None:
    data = [*branchy_data(), 100 * branchy_data(1)[0]]
    with pytest.raises(adascale.Error, match="^batch 4: the model: ValueError: too large$"):
        adascale.quantize(Failing().eval(), tmp_path / "out", data, iterations=2, progress=False)


class Pair(nn.Module):
    """Holds two layers, and is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)


class ByWeight(nn.Module):
    """Uses a pair by its weights, another not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.pair, self.idle = Pair(), Pair()

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        up = torch.relu(nn.functional.linear(x, self.pair.up.weight, self.pair.up.bias))
        return x + scale * nn.functional.linear(up, self.pair.down.weight, self.pair.down.bias)


def test_no_data_reaches_what_no_call_and_no_weight_uses(tmp_path: Path) -> None:
    model = Branchy(ByWeight).eval()
    report = adascale.quantize(model, tmp_path, branchy_data(), **FEW)
    pairs = [f"layers.{i}.pair" for i in range(3)]
    names = [layer.name for block in report.blocks for layer in block.layers]
    assert names == [f"{pair}.{name}" for pair in pairs for name in ("up", "down")]
    unreached = [line for line in report.not_trained if "no data reaches it" in line]
    assert unreached == [f"layers.{i}.idle: no data reaches it, full precision" for i in range(3)]


class Settings(Branchy):
    """The blocks' scale is 1 with a bias, and 2 without."""

    def forward(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        x = self.stem(x if x.sum() > 0 else -x)
        for layer in self.layers:
            x = layer(x, scale=2.0 if bias is None else 1.0)
        return self.head(x)


def test_a_block_names_the_batch_that_it_was_captured_on(tmp_path: Path) -> None:
    first, *others = branchy_data()
    data = [{"x": first}, *({"x": x, "bias": torch.zeros(6)} for x in others)]
    refusal = r"layers\.0: scale: got 2\.0, but the batch that it was captured on fixed it at 1\.0$"
    with pytest.raises(adascale.Error, match=refusal):
        adascale.quantize(Settings().eval(), tmp_path / "out", data, iterations=2, progress=False)
