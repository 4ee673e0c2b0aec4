"""The packages that parts of adascale need beside torch, by their names on PyPI."""

import importlib
import importlib.util
from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_IMPORT_NAMES = {"llama-cpp-python": "llama_cpp"}


def import_name(package: str) -> str:
    return _IMPORT_NAMES.get(package, package.replace("-", "_"))


def missing(packages: Iterable[str]) -> list[str]:
    """Those that are not installed."""
    return [name for name in packages if importlib.util.find_spec(import_name(name)) is None]


def how_to_install(packages: Iterable[str]) -> str:
    """``pip install 'transformers>=5.7,<5.25' gguf``: with the ranges that adascale asks for."""
    ranges = required()
    wanted = [f"{name}{ranges[name].specifier}" if name in ranges else name for name in packages]
    return "pip install " + " ".join(f"'{name}'" if "<" in name or ">" in name else name for name in wanted)


def required() -> "dict[str, Requirement]":
    """What adascale's metadata asks for, its extras too; empty where it was not installed by pip."""
    from packaging.requirements import (
        InvalidRequirement,
        Requirement,
    )  # here: a run needs it only for a message

    try:
        found = [Requirement(text) for text in metadata.requires("adascale") or []]
    except (metadata.PackageNotFoundError, InvalidRequirement):
        return {}
    return {requirement.name: requirement for requirement in found if requirement.name != "adascale"}


def version_of(package: str) -> str | None:
    """The version that is installed; none: no such package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def fault_of(package: str) -> str:
    """Why the package is of no use here; empty: it is in range and can be imported."""
    version, requirement = version_of(package), required().get(package)
    if missing([package]):
        return f"missing; {how_to_install([package])}"
    if version and requirement and not requirement.specifier.contains(version, prereleases=True):
        return f"got {version}, expected {requirement.specifier}; {how_to_install([package])}"
    try:
        importlib.import_module(import_name(package))
    except Exception as error:  # boundary: whatever keeps it from loading
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"cannot be imported: {first}; remove it, then {how_to_install([package])}"
    return ""
