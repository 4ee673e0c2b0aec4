"""The workflow that users copy, word for word, on a device."""

from pathlib import Path

import fake_device  # noqa: F401
import pytest
import seed_workflow

FAKE = "fake:0"


def test_the_example_runs_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed_workflow.main(str(tmp_path), FAKE)
    said = capsys.readouterr().out
    assert f"on {FAKE} in" in said
    errors = said.partition("relative error of the outputs")[2].partition("exported")[0]
    nearest, learned = (float(line.split()[-1].rstrip("%")) for line in errors.splitlines() if "%" in line)
    assert learned < nearest
    assert {path.suffix for path in tmp_path.iterdir()} == {".pt2", ".safetensors", ".encodings"}
