"""The package beside a torch of another minor version, and the requirement in its metadata."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
import torch
import torch_requirement
from adascale.torch_minor import check_torch

from adascale import built_with

MINOR = ".".join(torch.__version__.split(".")[:2])


def test_the_minor_it_was_built_against_is_this_one() -> None:
    assert MINOR == built_with.TORCH_MINOR


@pytest.mark.parametrize("running", ["2.13.0", "2.13.1+cu130", "2.13.0a0+git1234"])
def test_any_build_of_the_minor_will_do(running: str) -> None:
    check_torch(running, "2.13")


@pytest.mark.parametrize("running", ["2.12.1", "2.14.0+cpu", "2.1.3", "3.13.0"])
def test_another_minor_is_refused(running: str) -> None:
    with pytest.raises(ImportError) as caught:
        check_torch(running, "2.13")
    assert str(caught.value) == (
        f"adascale: got torch {running}, expected 2.13.*, which it was built against; "
        "pip install 'torch==2.13.*', or build adascale anew beside this torch "
        "(pip install --no-build-isolation)"
    )


def test_import_ends_before_the_extension_is_loaded() -> None:
    program = "import torch; torch.__version__ = '2.99.0'; import adascale"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = ran.stderr.strip().splitlines()[-1]
    assert ran.returncode == 1 and last.startswith("ImportError: adascale: got torch 2.99.0, expected ")


def test_what_is_installed_requires_this_minor() -> None:
    requires = importlib.metadata.requires("adascale")
    assert [line for line in requires if line.startswith("torch")] == [f"torch=={MINOR}.*"]


@pytest.mark.parametrize("state", ["sdist", "wheel", "metadata_wheel", "editable"])
def test_an_sdist_takes_every_torch_and_a_wheel_its_own(state: str) -> None:
    hooks = torch_requirement.Provider()
    hooks.build_state(state)
    torch_line, *others = hooks.dynamic_metadata({"dependencies": ["numpy"]}, {})["dependencies"]
    assert others == ["numpy"]
    if state == "sdist":
        assert re.fullmatch(r"torch>=2\.\d+,<2\.\d+", torch_line)
    else:
        assert torch_line == f"torch=={MINOR}.*"
