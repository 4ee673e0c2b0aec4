"""find_package(adascale) beside a torch that the library was not built against."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from adascale.built_with import TORCH_MINOR

import adascale

CMAKE = shutil.which("cmake") or str(Path(sys.executable).parent / "cmake")
PROJECT = (
    "cmake_minimum_required(VERSION 3.25)\nproject(mine LANGUAGES NONE)\nfind_package(adascale REQUIRED)\n"
)


def configure(folder: Path, torch_root: Path) -> str:
    (folder / "CMakeLists.txt").write_text(PROJECT)
    command = [CMAKE, "-G", "Ninja", "-S", folder, "-B", folder / "build"]
    command += [f"-DCMAKE_PREFIX_PATH={adascale.cmake_prefix_path}", f"-DTORCH_ROOT={torch_root}"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode != 0
    return " ".join(ran.stderr.split())


@pytest.mark.parametrize("version", ["2.99.0+cpu", "3.1.0", ""])
def test_torch_of_another_minor_is_refused(tmp_path: Path, version: str) -> None:
    root = tmp_path / "torch"
    root.mkdir()
    if version:
        (root / "version.py").write_text(f"__version__ = '{version}'\n")
    said = configure(tmp_path, root)
    assert f"got torch '{version.partition('+')[0]}', expected {TORCH_MINOR}, " in said
    assert "pass -DTORCH_ROOT=" in said
