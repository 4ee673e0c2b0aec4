"""The package's types are whole: mypy checks a user's script, and a wrong one fails it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import adascale
from adascale import _C

USER = Path(__file__).parent / "typed" / "user.py"
STUB = Path(adascale.__file__).parent / "_C.pyi"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of torch, half a minute's work."""
    return tmp_path_factory.mktemp("mypy")


def mypy(script: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), str(script)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cache)


@pytest.mark.full
def test_a_users_script_passes(cache: Path) -> None:
    checked = mypy(USER, cache)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.full
@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("group_size=32", 'group_size="32"', "group_size"),
        ("param_bw=4,", "param_bits=4,", "param_bits"),
        ("block.loss_after", "block.loss_behind", "loss_behind"),
    ],
)
def test_a_wrong_one_fails(right: str, wrong: str, error: str, cache: Path, tmp_path: Path) -> None:
    text = USER.read_text()
    assert right in text
    (tmp_path / "wrong.py").write_text(text.replace(right, wrong))
    checked = mypy(tmp_path / "wrong.py", cache)
    assert checked.returncode == 1 and error in checked.stdout, checked.stdout


def members(body: list[ast.stmt]) -> set[str]:
    names = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_the_stub_has_all_of_the_extension() -> None:
    body = ast.parse(STUB.read_text()).body
    assert {name for name in dir(_C) if not name.startswith("_")} == members(body)
    for node in body:
        if isinstance(node, ast.ClassDef):
            own = {name for name in vars(getattr(_C, node.name)) if not name.startswith("_")}
            assert own == {name for name in members(node.body) if not name.startswith("_")}, node.name
