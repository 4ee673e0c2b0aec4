"""What the package depends on, for scikit-build-core: `tool.dynamic-metadata` of pyproject.toml runs this.

An sdist takes every torch that we build against, a wheel only the minor version that it was built against.
"""

import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def torch_range() -> str:
    """`torch>=2.11,<2.15`: what a build requires, and the one place where it is written."""
    requires = tomllib.loads(PYPROJECT.read_text())["build-system"]["requires"]
    return next(line for line in requires if line.startswith("torch"))


def torch_here() -> str:
    """`torch==2.13.*`: the one that this interpreter sees, which CMake takes too."""
    try:
        major, minor = version("torch").split(".")[:2]
    except PackageNotFoundError:
        raise RuntimeError(
            f"adascale is built beside torch: got none, expected {torch_range()}; pip install it"
        ) from None
    return f"torch=={major}.{minor}.*"


class Provider:
    """The hooks are scikit-build-core's."""

    state = "wheel"

    def build_state(self, build_state: str) -> None:
        self.state = build_state

    def dynamic_metadata(self, settings: Mapping[str, Any], project: Mapping[str, Any]) -> dict[str, Any]:
        torch = torch_range() if self.state == "sdist" else torch_here()
        return {"dependencies": [torch, *settings["dependencies"]]}

    def dynamic_wheel(self, settings: Mapping[str, Any]) -> dict[str, bool]:
        return {"dependencies": True}
