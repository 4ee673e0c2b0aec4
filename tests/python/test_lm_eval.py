"""evaluate --lm-eval without the package; tests/runtimes has it."""

from pathlib import Path

import pytest
from adascale.runtimes import lm_eval as ours

import adascale


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "missing", lambda packages: ["lm-eval"])
    with pytest.raises(adascale.Error, match="lm_eval: needs the package lm-eval; pip install lm-eval"):
        ours.LmEval().check(str(tmp_path), str(tmp_path), ["arc_easy"])


def test_numbers_and_their_errors_are_read_from_its_results() -> None:
    results = {
        "arc": {
            "acc,none": 0.5,
            "acc_stderr,none": 0.01,
            "acc,strict": 0.25,
            "acc_stderr,strict": "N/A",
        },
        "group": {"alias": "group", "perplexity,none": 12, "samples": 4},
    }
    assert dict(ours._scores(results)) == {
        ("arc", "acc"): (0.5, 0.01),
        ("arc", "acc (strict)"): (0.25, None),
        ("group", "perplexity"): (12.0, None),
    }
