"""The common part of runtimes, and their messages when something is missing; none is needed."""

from pathlib import Path

import pytest
from adascale.runtimes import Runtime, python_runtimes
from adascale.runtimes.runtime import need_packages, only_file

from adascale import Error


def test_names_are_unique() -> None:
    names = [runtime.name for runtime in python_runtimes()]
    assert len(set(names)) == len(names)
    assert {"onnxruntime", "openvino"} <= set(names)
    assert all(runtime.description and runtime.files for runtime in python_runtimes())


def test_a_missing_package_is_named() -> None:
    with pytest.raises(Error, match="runtime='fast': needs the package no-such; pip install no-such"):
        need_packages("fast", "no-such", "torch")
    need_packages("fast", "torch")


@pytest.mark.parametrize("runtime", python_runtimes(), ids=lambda runtime: runtime.name)
def test_a_missing_file_is_named_first(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(Error, match=rf"holds (0|no) .*runtime='{runtime.name}'; quantize"):
        runtime.open(str(tmp_path), ["x"], ["y"])


@pytest.mark.parametrize("runtime", python_runtimes(), ids=lambda runtime: runtime.name)
def test_each_names_its_package(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / runtime.files.replace("*", "m")).touch()
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(Error, match=f"runtime='{runtime.name}': needs the package .*; pip install "):
        runtime.open(str(tmp_path), ["x"], ["y"])


def test_one_file_is_expected(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"holds 0 \.onnx files, .* quantize with formats=.'onnx'."):
        only_file("fast", str(tmp_path), ".onnx", "onnx")
    (tmp_path / "a.onnx").touch()
    assert only_file("fast", str(tmp_path), ".onnx", "onnx") == str(tmp_path / "a.onnx")
    (tmp_path / "b.onnx").touch()
    with pytest.raises(Error, match=r"holds 2 \.onnx files \(a\.onnx, b\.onnx\), expected exactly one"):
        only_file("fast", str(tmp_path), ".onnx", "onnx")
