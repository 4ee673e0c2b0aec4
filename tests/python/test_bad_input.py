"""Bad input gets one clear line and changes nothing."""

import contextlib
import inspect
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import ConsecutiveBlocks, seed_loader, seed_sim
from torch import Tensor, nn

import adascale
from adascale import Error, QuantizationSimModel, apply_adascale, default_forward_fn


@pytest.fixture
def model() -> nn.Module:
    return ConsecutiveBlocks(16, 2).eval()


@pytest.fixture
def loader() -> list[Tensor]:
    return seed_loader(16)


def with_value(batch: Tensor, value: float) -> Tensor:
    bad = batch.clone()
    bad.view(-1)[3] = value
    return bad


def calls_twice(model: nn.Module, batch: Tensor) -> None:
    for _ in range(2):
        with contextlib.suppress(BaseException):  # like a careless forward_fn
            model(batch)


# name: the loader's output, the forward_fn, more arguments, the error's text
BAD_RUNS: dict[str, tuple[Callable[[list[Tensor]], Any], Any, dict[str, Any], str]] = {
    "empty loader": (lambda _: [], None, {}, "data_loader gave no batch"),
    "labels beside the inputs": (
        lambda b: [(x, torch.zeros(len(x))) for x in b],
        None,
        {},
        r"batch 0: .*labels.*model\(batch\[0\]\)",
    ),
    "model never called": (
        lambda b: b,
        lambda _model, x: x * 2,
        {},
        "batch 0: forward_fn never called the model",
    ),
    "model called twice": (lambda b: b, calls_twice, {}, "batch 0: forward_fn called the model 2 times"),
    "batch of a strange type": (
        lambda _: ["text"],
        None,
        {},
        "batch 0: default_forward_fn: got a batch of type str",
    ),
    "an input that is no tensor": (lambda _: [[[1.0, 2.0]]], None, {}, "batch 0: sim.model: "),
    "wrong size": (lambda _: [torch.rand(3, 3, 4, 15)], None, {}, "15.*expected 16|16.*got 15"),
    "wrong rank": (lambda _: [torch.rand(3, 16)], None, {}, "x"),
    "wrong dtype": (lambda b: [b[0].double()], None, {}, "[Dd]ouble|float64"),
    "NaN": (
        lambda b: [b[0], with_value(b[1], float("nan"))],
        None,
        {},
        "batch 1: input 'x' holds NaN or infinity",
    ),
    "infinity": (
        lambda b: [with_value(b[0], float("inf"))],
        None,
        {},
        "batch 0: input 'x' holds NaN or infinity",
    ),
    "no such block": (lambda b: b, None, {"blocks": ["encoder.*"]}, r"encoder\.\*"),
    "no such recipe": (lambda b: b, None, {"recipe": "magic"}, "magic.*aimet"),
    "epochs and iterations": (
        lambda b: b,
        None,
        {"num_epochs": 1, "num_iterations": 9},
        "expected one of them",
    ),
    "no epochs": (lambda b: b, None, {"num_epochs": 0}, "num_epochs: got 0"),
    "all held out": (lambda b: b, None, {"held_out_batches": 4}, "held_out_batches: got 4 of 4"),
    "a bool for a number": (
        lambda b: b,
        None,
        {"num_epochs": True},
        "num_epochs: got True, expected an integer",
    ),
    "a number too large": (lambda b: b, None, {"seed": 10**30}, "expected an integer of at most 64 bits"),
    "a string for a list": (
        lambda b: b,
        None,
        {"blocks": "x"},
        "blocks: got 'x', expected a list of strings",
    ),
}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_apply_adascale_refuses(name: str, model: nn.Module, loader: list[Tensor]) -> None:
    make, forward_fn, options, text = BAD_RUNS[name]
    sim = seed_sim(model, loader[0])
    described, before = repr(sim), {k: v.clone() for k, v in sim.model.state_dict().items()}
    with pytest.raises(Error, match=text) as raised:
        apply_adascale(sim, make(loader), forward_fn, progress=False, **options)
    assert "\n" not in str(raised.value)
    assert repr(sim) == described
    assert all(torch.equal(before[k], v) for k, v in sim.model.state_dict().items())
    assert len(apply_adascale(sim, loader, progress=False).blocks) == 2, "the simulation still works"


def test_forward_fns_own_error_goes_through(model: nn.Module, loader: list[Tensor]) -> None:
    def forward_fn(_model: nn.Module, _batch: Tensor) -> None:
        raise KeyError("pixel_values")

    sim = seed_sim(model, loader[0])
    with pytest.raises(KeyError, match="pixel_values"):
        apply_adascale(sim, loader, forward_fn, progress=False)
    assert sim.model(loader[0]).shape == loader[0].shape, "no longer recording"


def test_wrong_argument_name_in_a_batch(model: nn.Module, loader: list[Tensor]) -> None:
    sim = seed_sim(model, loader[0])
    with pytest.raises(TypeError, match=r"\(given by name: pixels\); the model's arguments are x"):
        apply_adascale(sim, [{"pixels": loader[0]}], progress=False)


def test_once_and_before_compute_encodings(model: nn.Module, loader: list[Tensor]) -> None:
    sim = seed_sim(model, loader[0])
    apply_adascale(sim, loader, progress=False)
    with pytest.raises(Error, match="apply_adascale: called twice"):
        apply_adascale(sim, loader, progress=False)
    sim.compute_encodings(default_forward_fn, loader[0])
    late = seed_sim(model, loader[0])
    late.compute_encodings(default_forward_fn, loader[0])
    with pytest.raises(Error, match="called after compute_encodings"):
        apply_adascale(late, loader, progress=False)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"default_param_bw": 1}, "default_param_bw: got 1"),
        ({"default_param_bw": 17}, "default_param_bw: got 17"),
        ({"default_output_bw": 3}, "default_output_bw: got 3"),
        ({"group_size": -1}, "group_size: got -1"),
        ({"quant_scheme": "best"}, "best.*post_training_tf"),
        ({"layer_config": {"encoder.*": {"param_bw": 8}}}, r"encoder\.\*"),
        ({"layer_config": {"*": {"bits": 8}}}, "bits"),
        ({"config_file": "no/such.json"}, "no/such.json"),
        ({"symmetric": 1}, "symmetric: got 1, expected True or False"),
    ],
)
def test_simulation_refuses(
    model: nn.Module, loader: list[Tensor], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(Error, match=text) as raised:
        QuantizationSimModel(model, loader[0], **options)
    assert "\n" not in str(raised.value)


def test_unknown_keywords_list_the_known(model: nn.Module, loader: list[Tensor]) -> None:
    with pytest.raises(
        TypeError,
        match=r"unknown keyword 'param_bits'; did you mean param_bw\?; known: .*, param_bw \(or",
    ):
        QuantizationSimModel(model, loader[0], param_bits=4)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="param_bw and default_param_bw are one option"):
        QuantizationSimModel(model, loader[0], param_bw=4, default_param_bw=4)
    sim = seed_sim(model, loader[0])
    with pytest.raises(
        TypeError, match=r"unknown keyword 'epoch'; did you mean epochs\?; known: .*epochs \(or"
    ):
        apply_adascale(sim, loader, epoch=4)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (adascale.quantize, lambda wrong: adascale.quantize("none", "out", [], **wrong)),
        (QuantizationSimModel.__init__, lambda wrong: QuantizationSimModel(nn.Linear(2, 2), None, **wrong)),
    ],
)
def test_unknown_keywords_list_those_of_the_signature(
    function: Callable[..., Any], call: Callable[[dict[str, int]], Any]
) -> None:
    with pytest.raises(TypeError) as raised:
        call({"no_such": 1})
    known = str(raised.value).partition("known: ")[2].replace(" (or ", ", ").replace(")", "").split(", ")
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert name in known


def test_near_keywords_are_offered(tmp_path: Path) -> None:
    for wrong, meant in {"format": "formats", "tokeniser": "tokenizer", "group_sise": "group_size"}.items():
        with pytest.raises(TypeError, match=rf"unknown keyword '{wrong}'; did you mean .*{meant}"):
            adascale.quantize("none", tmp_path / "out", [], **{wrong: 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_numbers(model: nn.Module, loader: list[Tensor], value: float) -> None:
    with torch.no_grad():
        model.linear_blocks[1].fc2.weight[2, 3] = value
    with pytest.raises(Error, match="linear_blocks.1.fc2.*(NaN|nan|infini)"):
        QuantizationSimModel(model, loader[0])


def test_model_that_is_no_module(loader: list[Tensor]) -> None:
    with pytest.raises(Error, match="model: got function, expected a torch.nn.Module"):
        QuantizationSimModel(calls_twice, loader[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("dummy_input", [None, 3, "text", (), {"x": 3}])
def test_dummy_input_without_a_tensor(model: nn.Module, dummy_input: Any) -> None:
    with pytest.raises(Error, match="dummy_input: "):
        QuantizationSimModel(model, dummy_input)


def test_no_block_to_train() -> None:
    x = torch.rand(2, 4)
    sim = QuantizationSimModel(nn.Sequential(nn.ReLU()).eval(), x)
    with pytest.raises(Error, match="found no block"):
        apply_adascale(sim, [x], progress=False)


class TestComputeEncodings:
    def test_forward_pass_that_raises_leaves_no_trace(self, model: nn.Module, loader: list[Tensor]) -> None:
        sim = seed_sim(model, loader[0])
        before = repr(sim)

        def forward_pass(simulated: nn.Module, _: None) -> None:
            simulated(loader[0])
            raise KeyError("broken")

        with pytest.raises(KeyError, match="broken"):
            sim.compute_encodings(forward_pass, None)
        assert repr(sim) == before
        with pytest.raises(Error, match="end without begin"):
            sim._core.end_calibration()
        apply_adascale(sim, loader, progress=False)

    def test_model_never_called(self, model: nn.Module, loader: list[Tensor]) -> None:
        sim = seed_sim(model, loader[0])
        with pytest.raises(Error, match="the forward pass never ran the model"):
            sim.compute_encodings(lambda _model, _args: None, None)

    def test_nan(self, model: nn.Module, loader: list[Tensor]) -> None:
        sim = seed_sim(model, loader[0])
        with pytest.raises(Error, match="NaN"):
            sim.compute_encodings(default_forward_fn, with_value(loader[0], float("nan")))

    def test_spellings(self, model: nn.Module, loader: list[Tensor]) -> None:
        for arguments in (
            {"forward_pass": default_forward_fn, "args": loader[0]},
            {"forward_pass_callback": default_forward_fn, "forward_pass_callback_args": loader[0]},
            {"forward_pass": lambda simulated: simulated(loader[0])},
        ):
            sim = seed_sim(model, loader[0])
            sim.compute_encodings(**arguments)
            assert "no encoding yet" not in repr(sim)
        with pytest.raises(TypeError, match="are one argument"):
            sim.compute_encodings(default_forward_fn, forward_pass_callback=default_forward_fn)
        with pytest.raises(TypeError, match="forward_pass is missing"):
            sim.compute_encodings()


class TestExport:
    @pytest.fixture
    def sim(self, model: nn.Module, loader: list[Tensor]) -> QuantizationSimModel:
        sim = seed_sim(model, loader[0])
        sim.compute_encodings(default_forward_fn, loader[0])
        return sim

    def test_unknown_format(self, sim: QuantizationSimModel, tmp_path: Path) -> None:
        with pytest.raises(Error, match="onyx.*pt2"):
            sim.export(tmp_path / "out", "model", formats=["pt2", "onyx"])
        with pytest.raises(Error, match=r"expected a list such as \['pt2'\]"):
            sim.export(tmp_path / "out", "model", formats="pt2")
        assert not (tmp_path / "out").exists()

    def test_unknown_encoding_version(self, sim: QuantizationSimModel, tmp_path: Path) -> None:
        with pytest.raises(Error, match=r"9\.9.*1\.0\.0"):
            sim.export(tmp_path / "out", "model", encoding_version="9.9")
        assert not (tmp_path / "out").exists()

    def test_folder_that_is_a_file(self, sim: QuantizationSimModel, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("mine")
        with pytest.raises(Error, match="taken"):
            sim.export(tmp_path / "taken", "model")
        assert (tmp_path / "taken").read_text() == "mine"

    def test_folder_not_writable(self, sim: QuantizationSimModel) -> None:
        with pytest.raises(Error, match="/proc/nowhere"):
            sim.export("/proc/nowhere", "model")  # not even for root

    def test_full_folder(self, sim: QuantizationSimModel, tmp_path: Path) -> None:
        (tmp_path / "model.pt2").write_text("an older export")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # like a full disk: writes end midway
        try:
            beside = tmp_path.with_name(f".{tmp_path.name}.adascale")  # where files wait
            with pytest.raises(Error, match=f"{re.escape(str(beside))}/model.*: cannot be written"):
                sim.export(tmp_path, "model")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
        assert (tmp_path / "model.pt2").read_text() == "an older export"

    def test_dummy_input_that_does_not_fit(self, sim: QuantizationSimModel, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match=r"given by name: z"):
            sim.export(tmp_path, "model", dummy_input={"z": torch.rand(2, 3)})


def test_adascale_of_a_plain_module(model: nn.Module, loader: list[Tensor]) -> None:
    with pytest.raises(Error, match="got ConsecutiveBlocks, expected a QuantizationSimModel"):
        apply_adascale(model, loader)  # type: ignore[arg-type]
