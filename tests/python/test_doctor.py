"""``adascale doctor`` has a line for each row of the tables, and says what to install."""

import subprocess
import sys

import pytest
from adascale.doctor import Doctor, Finding, examine
from adascale.doors import FolderDoor
from adascale.runtimes import python_runtimes

import adascale
from adascale import _C, packages


@pytest.fixture
def requirements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts = ["torch==2.13.*", "numpy", 'transformers<6,>=5.7; extra == "hf"', 'adascale[hf]; extra == "gguf"']
    monkeypatch.setattr(packages.metadata, "requires", lambda name: texts)
    return texts


def named(kind: str) -> dict[str, Finding]:
    return {one.name: one for one in examine() if one.kind == kind}


def test_every_row_of_every_table_is_there() -> None:
    assert set(_C.format_names()) == set(named("format"))
    assert {runtime.name for runtime in python_runtimes()} == set(named("runtime"))
    assert set(_C.present_devices()) <= set(named("device"))
    assert set(FolderDoor.packages) < set(named("model"))
    assert "pip install lm-eval" in named("tasks")["lm-eval"].fault or named("tasks")["lm-eval"].found
    assert named("core")["adascale"].fault == ""


def test_a_missing_package_comes_with_its_range(
    requirements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = packages.importlib.util.find_spec
    absent = {"transformers", "llama_cpp"}
    monkeypatch.setattr(
        packages.importlib.util, "find_spec", lambda name: None if name in absent else found(name)
    )
    assert named("runtime")["transformers"].fault == "missing; pip install 'transformers<6,>=5.7'"
    assert named("runtime")["llama.cpp"].fault == "missing; pip install llama-cpp-python"
    assert "missing; pip install 'transformers<6,>=5.7'" in named("model")["transformers folder"].fault


def test_a_version_out_of_range_is_said(requirements: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    requirements[2] = 'transformers<2,>=1; extra == "hf"'
    fault = named("model")["transformers folder"].fault
    assert fault.startswith("got 5.") and "expected <2,>=1; pip install 'transformers<2,>=1'" in fault


def test_a_package_that_cannot_be_imported_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ImportError(f"lib{name}.so: cannot open\nmore")

    monkeypatch.setattr(packages.importlib, "import_module", refuse)
    assert packages.fault_of("numpy") == (
        "cannot be imported: libnumpy.so: cannot open; remove it, then pip install numpy"
    )


def test_what_keeps_the_core_from_working_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise adascale.Error("no grid")

    monkeypatch.setattr("adascale.doctor._quantize_a_layer", fail)
    with pytest.raises(adascale.Error, match="doctor: adascale: does not work: no grid"):
        Doctor().run()
    assert "does not work: no grid" in capsys.readouterr().out


def test_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "adascale", "doctor"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("core ") and "device " in ran.stdout
