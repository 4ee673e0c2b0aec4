"""`pytest -m gpu tests/gpu` tests a GPU.

`--device fake` runs the same on the fake device, to try the tests themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sides import GPU_TRAITS

from adascale import _C


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cuda", choices=["cuda", "fake"], help="tests/gpu: the device under test"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cuda_alone(reason): means nothing on the fake device")
    if config.getoption("--device") == "fake":
        import fake_device  # noqa: F401  registers itself


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    name = config.getoption("--device")
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.gpu)
        alone = item.get_closest_marker("cuda_alone")
        if name == "cuda" and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device; --device fake tries the tests"))
        elif name == "fake" and alone:
            item.add_marker(pytest.mark.skip(reason=alone.args[0]))


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.config.getoption("--device"), 0)


@pytest.fixture(autouse=True)
def as_a_gpu(device: torch.device) -> Iterator[None]:
    """Gives the fake device a GPU's traits, so that it takes the same code paths."""
    torch.manual_seed(0)
    if device.type == "fake":
        _C.set_traits("fake", **GPU_TRAITS)
    yield
    if device.type == "fake":
        _C.set_traits("fake")
