"""evaluate --lm-eval by the lm-eval package: scores of both folders on a task in a file; what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_folders import QUICK, TEXT, llama_folder

import adascale

TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{label}}}}"
metric_list:
  - metric: acc
"""


def evaluate(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "adascale", "evaluate", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **offline, **environment},
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    here = tmp_path_factory.mktemp("lm-eval")
    source, out = llama_folder(here / "tiny"), here / "out"
    adascale.quantize(source, out, [TEXT], param_bw=2, **QUICK)
    return source, out


def task_file(folder: Path, name: str) -> Path:
    rows = folder / "rows.jsonl"
    words = ["quick", "brown", "lazy", "seven", "wizards"]
    docs = [
        {"text": f"the {word} fox {i}", "choices": [f" {one}" for one in words], "label": i % 5}
        for i, word in enumerate(words * 4)
    ]
    rows.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    made = folder / f"{name}.yaml"
    made.write_text(TASK.format(name=name, rows=rows))
    return made


def test_both_are_scored_on_a_task_of_a_file(folders: tuple[Path, Path], tmp_path: Path) -> None:
    task, page = task_file(tmp_path, "next_word"), tmp_path / "page.html"
    source, out = folders
    done = evaluate(source, out, "--lm-eval", task, "--html", page, HF_HOME=str(tmp_path / "hub"))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["task", "metric", "model", "quantized", "change", "standard", "error"] in rows
    row = next(row for row in rows if row[:2] == ["next_word", "acc"])
    model, quantized = float(row[2]), float(row[3])
    assert 0 <= model <= 1 and float(row[4]) == pytest.approx(quantized - model, abs=2e-4) and len(row) == 6
    assert f'"task":"next_word","metric":"acc","model":{model}' in page.read_text()
    same = evaluate(source, source, "--lm-eval", task, HF_HOME=str(tmp_path / "hub"))
    row = next(row for row in map(str.split, same.stdout.splitlines()) if row[:2] == ["next_word", "acc"])
    assert float(row[2]) == float(row[3]) == model


def test_it_objects_to_all_at_once_before_it_works(folders: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = folders
    (tmp_path / "empty.yaml").write_text("dataset_path: json\n")
    none, missing = tmp_path / "none", tmp_path / "missing.yaml"
    done = evaluate(source, none, "--lm-eval", "arc_esy", missing, tmp_path / "empty.yaml")
    assert done.returncode == 2
    for part in (
        f"{none}: holds no config.json; --lm-eval scores transformers folders; quantize one with --format hf",
        "--lm-eval: arc_esy: is no task of lm-eval, did you mean arc_easy?",
        f"--lm-eval: {missing}: there is no such file",
        "empty.yaml: names no task",
    ):
        assert part in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
