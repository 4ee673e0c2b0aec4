"""The table at the end of a run of tests/runtimes: a row for each file that a runtime loaded."""

import importlib.metadata
import json
import os
import sys
from dataclasses import astuple
from pathlib import Path

import pytest
from table import AddRow, Row

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))  # small_folders and its like


_ROWS: list[Row] = []


@pytest.fixture
def add_row() -> AddRow:
    return _ROWS.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        [row.format, f"{row.runtime} {importlib.metadata.version(row.runtime)}", *astuple(row)[2:]]
        for row in _ROWS
    ]
    if kept := os.environ.get("ADASCALE_ROWS"):  # of the runs before, where scripts/runtimes makes several
        path = Path(kept)
        rows = [*(json.loads(path.read_text()) if path.exists() else []), *rows]
        path.write_text(json.dumps(rows))
    if not rows:
        return
    lines = [["format", "runtime", "model", "agreement", "size", "speed"], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    terminalreporter.section("files in their runtimes")
    for line in lines:
        terminalreporter.write_line(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
