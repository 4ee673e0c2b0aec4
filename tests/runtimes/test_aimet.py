"""aimet-torch takes our encodings and we take its, and both simulate the same."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from table import AddRow, Row
from torch import Tensor, nn

import adascale

# PyPI's torchvision, which aimet-torch imports, is built for CUDA: beside a CPU torch its own
# operators do not load. Its import only needs two schemas.
_schemas = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    _schemas.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import aimet_torch as aimet  # noqa: E402
from aimet_torch.nn.modules import custom  # noqa: E402
from aimet_torch.v2.quantsim import config_utils  # noqa: E402

VERSIONS = ("0.6.1", "1.0.0", "2.0.0", "2.1.0")
CLOSE = 1e-5


class ConvNet(nn.Sequential):
    """Ordinary, transposed and grouped convolutions; every operator is a module, as AIMET requires."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(4, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 2, stride=2),
            nn.ReLU(),
            nn.AvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32, 10),
        )


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.relu1 = nn.ReLU()
        self.dropout1 = nn.Dropout(0.1)
        self.fc2 = nn.Linear(32, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.dropout1(self.relu1(self.fc1(x))))


class ConsecutiveBlocks(nn.Module):
    """The seed's model."""

    def __init__(self) -> None:
        super().__init__()
        self.linear_blocks = nn.ModuleList(Block() for _ in range(5))
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.linear_blocks:
            x = block(x)
        return self.softmax(x)


class Layer(nn.Module):
    """A BERT layer. Its sums are modules, as AIMET requires; its attention is operators, left unquantized."""

    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.sum1, self.sum2 = custom.Add(), custom.Add()
        self.norm1 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.act = nn.GELU()
        self.down = nn.Linear(2 * width, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, dim=-1)
        x = self.norm1(self.sum1(x, self.out((scores @ v).transpose(1, 2).flatten(2))))
        return self.norm2(self.sum2(x, self.down(self.act(self.up(x)))))


class MiniLm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(99, 64)
        self.layers = nn.ModuleList(Layer() for _ in range(2))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x)
        return x


@dataclass
class Case:
    make: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    last: str  # the module that makes the output
    bits: int = 4
    output_bw: int = 16
    group_size: int = 0
    decompressed_bw: int = 0
    trains: bool = False  # AdaScale's codes, not round-to-nearest's

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make().eval()


def rows() -> Tensor:
    return torch.rand(4, 3, 8, 64)


def images() -> Tensor:
    return torch.rand(5, 4, 4, 4)


def tokens() -> Tensor:
    return torch.randint(0, 99, (3, 12))


OUT = "layers.1.norm2"
CASES = {
    "seed": Case(ConsecutiveBlocks, rows, "softmax", trains=True),
    "seed_groups": Case(ConsecutiveBlocks, rows, "softmax", group_size=16, trains=True),
    "seed_lpbq": Case(ConsecutiveBlocks, rows, "softmax", group_size=16, decompressed_bw=8, trains=True),
    "conv": Case(ConvNet, images, "8", bits=8, output_bw=8, trains=True),
    "conv16": Case(ConvNet, images, "8", trains=True),
    "minilm": Case(MiniLm, tokens, OUT, bits=8, output_bw=32),
    "minilm_groups": Case(MiniLm, tokens, OUT, output_bw=32, group_size=32),
    "minilm_lpbq": Case(MiniLm, tokens, OUT, output_bw=32, group_size=32, decompressed_bw=8),
    "minilm_lpbq_16": Case(MiniLm, tokens, OUT, group_size=32, decompressed_bw=8),
}
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def name_of(case: Case) -> str:
    return next(name for name, row in CASES.items() if row is case)


def is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def their_sim(case: Case, model: nn.Module, example: Tensor) -> Any:
    """AIMET's simulation, with blocks where the case has them; only weights that ours quantizes."""
    sim = aimet.QuantizationSimModel(
        model,
        dummy_input=example,
        quant_scheme="tf",
        default_param_bw=case.bits,
        default_output_bw=min(case.output_bw, 16),
    )
    for module in sim.model.modules():
        if not hasattr(module, "param_quantizers"):
            continue
        for name in module.param_quantizers:
            if name == "bias" or not isinstance(module, WEIGHTED):
                module.param_quantizers[name] = None
        if case.output_bw == 32:
            module._remove_activation_quantizers()
    linears = [module for module in sim.model.modules() if is_linear(module)]
    if case.decompressed_bw:
        config_utils.set_grouped_blockwise_quantization_for_weights(
            sim, linears, case.bits, True, case.decompressed_bw, case.group_size, -1
        )
    elif case.group_size:
        config_utils.set_blockwise_quantization_for_weights(sim, linears, case.bits, True, case.group_size)
    return sim


def their_calibrated(case: Case, model: nn.Module, example: Tensor) -> Any:
    sim = their_sim(case, model, example)
    sim.compute_encodings(lambda simulated: simulated(example))
    return sim


def our_sim(case: Case, model: nn.Module, example: Tensor) -> adascale.QuantizationSimModel:
    return adascale.QuantizationSimModel(
        model,
        example,
        param_bw=case.bits,
        output_bw=case.output_bw,
        group_size=case.group_size,
        decompressed_bw=case.decompressed_bw,
    )


def saved(sim: Any, folder: Path) -> Path:
    sim.save_encodings_to_json(str(folder), "theirs")
    return folder / "theirs.json"


def expect_same_outputs(case: Case, theirs: Any, ours: adascale.QuantizationSimModel) -> float:
    """Compares the outputs; returns the largest difference."""
    x = case.inputs()
    with torch.no_grad():
        difference = float((ours.model(x) - theirs.model(x)).abs().max())
    assert difference <= CLOSE
    return difference


def test_we_take_theirs(case: Case, tmp_path: Path, add_row: AddRow) -> None:
    model, example = case.model(), case.inputs()
    theirs, ours = their_calibrated(case, model, example), our_sim(case, model, example)
    # Not strict: AIMET quantizes the depthwise convolution and the ReLU after it, with equal encodings.
    ours.load_encodings(saved(theirs, tmp_path), strict=False, partial=False)
    difference = expect_same_outputs(case, theirs, ours)
    add_row(Row("encodings (theirs)", "aimet-torch", name_of(case), f"max abs diff {difference:.1e}"))


def our_quantized(case: Case, model: nn.Module, folder: Path) -> adascale.QuantizationSimModel:
    example = case.inputs()
    ours = our_sim(case, model, example)
    if case.trains:
        adascale.apply_adascale(ours, [case.inputs() for _ in range(4)], num_iterations=50, progress=False)
    else:  # without the operators that AIMET does not quantize
        theirs = their_calibrated(case, model, example)
        ours.load_encodings(saved(theirs, folder), strict=False, partial=False)
    ours.compute_encodings(lambda simulated: [simulated(case.inputs()) for _ in range(4)])
    return ours


def test_they_take_ours(case: Case, tmp_path: Path, add_row: AddRow) -> None:
    ours = our_quantized(case, case.model(), tmp_path)
    ours.export(tmp_path, "ours", formats=["safetensors", "encodings"])
    model = case.model()
    model.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    theirs = their_sim(case, model, case.inputs())
    file = tmp_path / "ours_torch.encodings"
    theirs.load_encodings(str(file), strict=True, partial=False)
    difference = expect_same_outputs(case, theirs, ours)
    size = f"{file.stat().st_size / 1024:.0f} KiB"
    add_row(Row("encodings (ours)", "aimet-torch", name_of(case), f"max abs diff {difference:.1e}", size))


def their_export(case: Case, theirs: Any, folder: Path, version: str, dynamo: bool) -> dict[str, Any]:
    names = {} if dynamo else {"input_names": ["x"], "output_names": ["out"]}
    args = (case.inputs(),)
    theirs.onnx.export(args, str(folder / "theirs.onnx"), encoding_version=version, dynamo=dynamo, **names)
    content: dict[str, Any] = json.loads((folder / "theirs.encodings").read_text())
    return content


def by_name(content: dict[str, Any]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for section in ("encodings", "param_encodings", "activation_encodings"):
        found = content.get(section, [])
        entries |= found if isinstance(found, dict) else {entry["name"]: entry for entry in found}
    return entries


EXPORTED = ("seed", "seed_groups", "seed_lpbq", "conv")


def output_name(entries: dict[str, Any]) -> str:
    """AIMET's name of the output: a node of its own."""
    (name,) = [name for name in entries if name == "out" or name.startswith("quantize_dequantize")]
    return name


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EXPORTED)
def test_we_take_their_tensor_names(name: str, version: str, dynamo: bool, tmp_path: Path) -> None:
    case = CASES[name]
    model, example = case.model(), case.inputs()
    theirs, ours = their_calibrated(case, model, example), our_sim(case, model, example)
    content = their_export(case, theirs, tmp_path, version, dynamo)
    named = {output_name(by_name(content)): case.last}
    if not dynamo and isinstance(model, nn.Sequential):
        named["x"] = "input"  # its forward's name for it
    ours.load_encodings(content, strict=False, partial=False, names=named)
    expect_same_outputs(case, theirs, ours)


def same_values(got: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return set(got) == set(expected) and all(
            key == "name" or same_values(got[key], expected[key]) for key in expected
        )
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(same_values, got, expected))
    if isinstance(expected, float):
        return bool(got == pytest.approx(expected, rel=1e-6))
    return bool(got == expected)


def in_order(name: str, entry: Any) -> Any:
    """AIMET's entry of a Linear's weight, transposed in its ONNX file, as an entry of the parameter."""
    if not name.endswith(".weight_0") or not isinstance(entry, dict):
        return entry
    turned = dict(entry)
    if "axis" in turned:
        turned["axis"] = 1 - turned["axis"]
    for key in ("y_scale", "per_block_int_scale", "per_channel_float_scale"):
        if isinstance(turned.get(key), list) and isinstance(turned[key][0], list):
            turned[key] = [list(row) for row in zip(*turned[key], strict=True)]
    if isinstance(turned.get("y_scale"), dict):
        scales = turned["y_scale"]
        turned["y_scale"] = scales | {"x": [list(row) for row in zip(*scales["x"], strict=True)], "axis": -2}
    return turned


def turned_blocks(entry: Any, channels: int) -> Any:
    """1.0.0 and 0.6.1: blocks of a transposed weight, one list."""
    key = "per_block_int_scale" if "per_block_int_scale" in entry else "scale"
    blocks = len(entry[key]) // channels
    return entry | {key: [entry[key][b * channels + c] for c in range(channels) for b in range(blocks)]}


def is_guessed(entry: Any, bias: Tensor) -> bool:
    """Whether AIMET found the bias scale from the bias itself: it knows no input scale (after a dropout)."""
    if entry.get("output_dtype") != "int32":
        return False
    guess, scale = bias.abs() / 2**31, torch.tensor(entry["y_scale"])
    is_large = guess > 1e-11  # AIMET floors smaller ones
    return bool(torch.allclose(scale[is_large], guess[is_large], rtol=1e-4, atol=0))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EXPORTED)
def test_fields_and_values_are_theirs(name: str, version: str, tmp_path: Path) -> None:
    case = CASES[name]
    model, example = case.model(), case.inputs()
    theirs, ours = their_calibrated(case, model, example), our_sim(case, model, example)
    ours.load_encodings(saved(theirs, tmp_path), strict=False, partial=False)
    ours.export(tmp_path, "ours", formats=["encodings"], encoding_version=version)
    expected = by_name(their_export(case, theirs, tmp_path, version, dynamo=True))
    got = by_name(json.loads((tmp_path / "ours.encodings").read_text()))
    last = got.pop("softmax" if "softmax" in got else "linear")
    assert same_values(last, expected.pop(output_name(expected)))
    # AIMET's duplicates: the convolution before a ReLU, and operators that only move numbers.
    expected = {key: entry for key, entry in expected.items() if key not in ("conv2d_1", "view")}
    assert {key.removesuffix("_0") for key in expected} == set(got)
    state = model.state_dict()
    for key, entry in expected.items():
        name = key.removesuffix("_0")
        if isinstance(entry, dict) and name.endswith(".bias") and is_guessed(entry, state[name]):
            continue
        wanted = in_order(key, entry)
        if key != name and isinstance(entry, dict) and entry.get("enc_type") in ("PER_BLOCK", "LPBQ"):
            wanted = turned_blocks(entry, len(state[name]))
        if key != name and isinstance(entry, list) and len(entry) > len(state[name]):
            wanted = turned_blocks({"scale": entry}, len(state[name]))["scale"]
        assert same_values(got[name], wanted), (name, got[name], wanted)
