"""Encodings files into simulations, whole models and live ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from live_models import branchy_data, simulate
from small_models import ConsecutiveBlocks, seed_loader, seed_sim
from torch import nn

import adascale
from adascale import Error, QuantizationSimModel, apply_adascale

VERSIONS = ("0.6.1", "1.0.0", "2.0.0", "2.1.0")


def calibrated(model: nn.Module, **options: Any) -> QuantizationSimModel:
    data = seed_loader()
    sim = seed_sim(model, data[0], **options)
    sim.compute_encodings(lambda simulated: [simulated(x) for x in data])
    return sim


@pytest.mark.parametrize("version", VERSIONS)
def test_a_round_trip_simulates_the_same(version: str, tmp_path: Path) -> None:
    model, x = ConsecutiveBlocks().eval(), seed_loader()[0]
    sim = calibrated(model, group_size=16)
    sim.export(tmp_path, "m", encoding_version=version)
    assert json.loads((tmp_path / "m.encodings").read_text())["version"] == version
    for name in ("m.encodings", "m_torch.encodings"):
        loaded = QuantizationSimModel(model, x)
        assert loaded.load_encodings(tmp_path / name, partial=False) == []
        assert torch.equal(loaded.model(x), sim.model(x))
        assert "int4 symmetric per group of 16, loaded" in repr(loaded)
        shown = loaded.model.state_dict()
        assert all(torch.equal(value, shown[key]) for key, value in sim.model.state_dict().items())


def test_files_have_no_short_last_group(tmp_path: Path) -> None:
    """Rows of 64 and 32 in groups of 16 have as many scales as in groups of 20 with a short last one."""
    model, x = ConsecutiveBlocks().eval(), seed_loader()[0]
    sim = calibrated(model, group_size=16)
    sim.export(tmp_path, "m", encoding_version="0.6.1")
    loaded = seed_sim(model, x, group_size=20)
    assert loaded.load_encodings(tmp_path / "m.encodings", partial=False) == []
    assert torch.equal(loaded.model(x), sim.model(x))
    with pytest.raises(
        Error, match="its blocks are of one size, and in_features 64 is no multiple of group_size 20"
    ):
        calibrated(model, group_size=20).export(tmp_path / "short", "m", formats=["encodings"])


def test_trained_weights_come_back_with_their_encodings(tmp_path: Path) -> None:
    model, data = ConsecutiveBlocks().eval(), seed_loader()
    sim = seed_sim(model, data[0])
    apply_adascale(sim, data, num_iterations=8, progress=False)
    sim.compute_encodings(lambda simulated: [simulated(x) for x in data])
    sim.export(tmp_path, "m")
    expected = sim.model(data[1])
    model.load_state_dict(sim.model.state_dict())  # on their grid: each rounds to its own code
    loaded = seed_sim(model, data[0])
    loaded.load_encodings(tmp_path / "m_torch.encodings")
    assert torch.equal(loaded.model(data[1]), expected)


def test_takes_the_content_of_a_file(tmp_path: Path) -> None:
    model = ConsecutiveBlocks().eval()
    sim = calibrated(model)
    sim.export(tmp_path, "m", formats=["encodings"])
    content = json.loads((tmp_path / "m_torch.encodings").read_text())
    content["param_encodings"]["linear_blocks.7.fc1.weight"] = []
    loaded = seed_sim(model, seed_loader()[0])
    with pytest.raises(
        Error, match="encodings: param_encodings.linear_blocks.7.fc1.weight: got an empty list"
    ):
        loaded.load_encodings(content)
    del content["param_encodings"]["linear_blocks.7.fc1.weight"]
    loaded.load_encodings(content)


def test_says_what_cannot_be_read(tmp_path: Path) -> None:
    sim = seed_sim(ConsecutiveBlocks().eval(), seed_loader()[0])
    with pytest.raises(Error, match="no: cannot be read: No such file or directory"):
        sim.load_encodings(tmp_path / "no")
    with pytest.raises(Error, match="cannot be read: Is a directory"):
        sim.load_encodings(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Error, match="not UTF-8 at byte 0"):
        sim.load_encodings(tmp_path / "binary")
    with pytest.raises(Error, match="got int, expected a path"):
        sim.load_encodings(3)  # type: ignore[arg-type]
    with pytest.raises(Error, match=r"encodings: is no encodings file"):
        sim.load_encodings({})


def test_loaded_weights_are_not_trained(tmp_path: Path) -> None:
    model, data = ConsecutiveBlocks().eval(), seed_loader()
    calibrated(model).export(tmp_path, "m", formats=["encodings"])
    content = json.loads((tmp_path / "m_torch.encodings").read_text())
    params = content["param_encodings"]
    only = {name: params[name] for name in params if name.startswith("linear_blocks.0.")}
    sim = seed_sim(model, data[0])
    sim.load_encodings({"param_encodings": only})
    before = {name: sim.model.state_dict()[name].clone() for name in only}
    report = apply_adascale(sim, data, num_iterations=8, progress=False)
    assert "linear_blocks.0.fc1: its encoding was loaded" in report.not_trained
    assert all(torch.equal(value, sim.model.state_dict()[name]) for name, value in before.items())
    whole = seed_sim(model, data[0])
    whole.load_encodings(content)
    with pytest.raises(Error, match="or after load_encodings"):
        apply_adascale(whole, data, num_iterations=8, progress=False)


def test_a_live_model_takes_its_own_file(branchy: nn.Module, tmp_path: Path) -> None:
    data = branchy_data()
    sim = simulate(branchy, output_bw=8)
    sim.compute_encodings(lambda simulated: [simulated(x) for x in data])
    sim.export(tmp_path, "m", formats=["encodings"])
    loaded = simulate(branchy, bits=8, output_bw=8)
    assert loaded.load_encodings(tmp_path / "m_torch.encodings", partial=False) == []
    assert torch.equal(loaded.model(data[0]), sim.model(data[0]))
    content = json.loads((tmp_path / "m_torch.encodings").read_text())
    content["param_encodings"]["layers.1.upp.weight"] = content["param_encodings"]["layers.1.up.weight"]
    with pytest.raises(Error, match=r"'layers.1.upp.weight' is not in the model; did you mean layers.1.up"):
        loaded.load_encodings(content)


def test_quantize_takes_an_encoding_version(tmp_path: Path) -> None:
    options: dict[str, Any] = {"iterations": 2, "output_bw": 16, "formats": ["encodings"], "progress": False}
    model, data = ConsecutiveBlocks().eval(), torch.cat(seed_loader())
    adascale.quantize(model, tmp_path, data, encoding_version="2.1.0", **options)
    (file,) = (path for path in tmp_path.glob("*.encodings") if not path.name.endswith("_torch.encodings"))
    assert json.loads(file.read_text())["version"] == "2.1.0"
    with pytest.raises(Error, match="encoding_version: got '3.0.0'"):
        adascale.quantize(model, tmp_path, data, encoding_version="3.0.0", **options)
