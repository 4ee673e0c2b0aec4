"""What fuzzing of the .jsonl reader left; the C++ readers' corpora are replayed by ctest."""

import shutil
from pathlib import Path

import pytest
from fuzz_jsonl import check

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "jsonl"


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_a_hostile_line_is_named(name: str, tmp_path: Path) -> None:
    shutil.copy(CORPUS / name, tmp_path / "f.jsonl")
    check(tmp_path / "f.jsonl")
