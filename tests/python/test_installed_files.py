"""The libraries that the installed binaries load: none of CUDA, none that only the build machine has."""

import re
import subprocess
from pathlib import Path

import pytest
import torch

import adascale

PACKAGE = Path(adascale.__file__).parent
BINARIES = {
    "library": PACKAGE / "lib" / "libadascale.so",
    "command": PACKAGE / "bin" / "adascale",
    "extension": Path(adascale._C.__file__),
}
BESIDE_TORCH = {"libtorch_cpu.so", "libc10.so", "libtorch_python.so"}
OF_THE_SYSTEM = (
    r"lib(stdc\+\+\.so\.6|gcc_s\.so\.1|[cm]\.so\.6|pthread\.so\.0|dl\.so\.2|rt\.so\.1)|ld-linux-.*"
)


def dynamic(file: Path, tag: str) -> list[str]:
    lines = subprocess.run(
        ["readelf", "-d", file], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [re.search(r"\[(.*)\]", line)[1] for line in lines if re.search(rf"\({tag}\)", line)]


def own_libraries() -> set[str]:
    return {file.name for file in (PACKAGE / "lib").glob("*.so*")}


def rpaths(file: Path) -> list[str]:
    return [path for entry in dynamic(file, "R(?:UN)?PATH") for path in entry.split(":")]


@pytest.mark.parametrize("name", BINARIES)
def test_needs_only_what_lies_beside_it_and_the_system(name: str) -> None:
    needed = dynamic(BINARIES[name], "NEEDED")
    rest = {library for library in needed if not re.fullmatch(OF_THE_SYSTEM, library)}
    openmp = {"libgomp.so.1"}
    assert rest <= own_libraries() | BESIDE_TORCH | openmp
    assert "libtorch_cpu.so" in rest


@pytest.mark.parametrize("name", BINARIES)
def test_finds_torch_beside_itself_and_ours_in_lib(name: str) -> None:
    folder = BINARIES[name].parent
    found = [Path(path.replace("$ORIGIN", str(folder))).resolve() for path in rpaths(BINARIES[name])]
    assert PACKAGE / "lib" in found
    assert PACKAGE.parent / "torch" / "lib" in found
    # Otherwise only the torch of this build: no folder that another machine lacks.
    absolute = {path for path in rpaths(BINARIES[name]) if not path.startswith("$ORIGIN")}
    assert absolute <= {str(Path(torch.__file__).parent / "lib")}


def test_what_lies_beside_the_library_needs_only_the_system() -> None:
    for name in own_libraries() - {"libadascale.so"}:
        needed = dynamic(PACKAGE / "lib" / name, "NEEDED")
        assert all(re.fullmatch(OF_THE_SYSTEM, library) for library in needed), name
        assert dynamic(PACKAGE / "lib" / name, "SONAME") == [name]
