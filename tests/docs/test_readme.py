"""The programs of the README and of the first page run as they are printed, on a small model."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import ROOT, Block, all_blocks, blocks_of, marked
from small_folders import SIZES, save_folder, write_text
from test_blocks import commands_in

# The budget of each command: what is tried is the way, not the result.
QUICK = {"--iterations": "2", "--samples": "4", "--seq-len": "32", "--batch-size": "2"}
TRAINING_ONLY = {"--iterations"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the pages' name and their texts; groups of 64 and 128 divide its rows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("readme")
    config = LlamaConfig(**(SIZES | {"hidden_size": 128, "intermediate_size": 256}))
    save_folder(LlamaForCausalLM(config).eval(), folder / "SmolLM2")
    for name in ("text.txt", "calibration.txt", "held_out.txt"):
        write_text(folder / name)
    return folder


def run_command(words: list[str], folder: Path) -> None:
    words = list(words)
    for option in QUICK.keys() & set(words):
        at = words.index(option)
        del words[at : at + 2]
    if words[0] in ("quantize", "evaluate"):
        takes = (
            QUICK if words[0] == "quantize" else {k: v for k, v in QUICK.items() if k not in TRAINING_ONLY}
        )
        words += [word for pair in takes.items() for word in pair]
    command = [sys.executable, "-m", "adascale", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stderr}"


def run_python(text: str, folder: Path) -> str:
    script = folder / "script.py"
    script.write_text(text)
    done = subprocess.run([sys.executable, script.name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands_of(page: str) -> list[list[str]]:
    """All but those that need a runtime (tests/runtimes)."""
    blocks = [block for block in blocks_of(ROOT / page) if block.language == "sh"]
    calls = [call for block in blocks for call in commands_in(block.text)]
    return [call for call in calls if "--runtime" not in call and call[0] != "--version"]


@pytest.mark.parametrize("page", ["README.md", "docs/get-started.md"])
def test_a_page_ends_in_generated_text(page: str, place: Path) -> None:
    commands = commands_of(page)
    assert len(commands) >= 3
    for words in commands:
        run_command(words, place)
    prompt = "A list comprehension in Python is"
    assert len(run_python(marked(page, "generate").text, place)) > len(prompt) + 1
    # llama.cpp's program is run by tests/runtimes.
    assert (place / "gguf/SmolLM2.gguf").exists() and "gguf/SmolLM2.gguf" in marked("README.md", "llama").text


def test_the_texts_of_the_first_page(tmp_path: Path) -> None:
    run_python(marked("docs/get-started.md", "texts").text, tmp_path)
    calibration, held_out = (tmp_path / name for name in ("calibration.txt", "held_out.txt"))
    assert min(calibration.stat().st_size, held_out.stat().st_size) > 100_000


def test_python_in_six_lines(place: Path) -> None:
    block = marked("README.md", "python")
    quick = "param_bw=4, iterations=2, samples=4, seq_len=32, batch_size=2"
    text = block.text.replace("param_bw=4", quick)
    assert text != block.text
    assert "2 blocks" in run_python(text, place)


@pytest.mark.parametrize("block", [b for b in all_blocks("cpp") if b.mark == "cpp"], ids=str)
def test_cpp_compiles(block: Block, tmp_path: Path) -> None:
    import torch
    from torch.utils.cpp_extension import include_paths

    import adascale

    source = tmp_path / "block.cpp"
    source.write_text(block.text)
    folders = [*include_paths(), f"{adascale.cmake_prefix_path}/include"]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    command = ["g++", "-std=c++20", "-fsyntax-only", abi, *(f"-I{f}" for f in folders), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
