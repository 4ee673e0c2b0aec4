"""The pages' code: Python compiles, and the options of commands exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache

import pytest
from blocks import PAGES, Block, all_blocks, blocks_of

LANGUAGES = {"", "sh", "python", "cpp", "cmake", "json"}


@pytest.mark.parametrize("block", all_blocks("python"), ids=str)
def test_python_compiles(block: Block) -> None:
    compile("\n" * (block.line - 1) + block.text, block.page, "exec")


@cache
def options_of(command: str) -> set[str]:
    run = [sys.executable, "-m", "adascale", *([command] if command else []), "--help"]
    text = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][\w-]*", text))


def commands_in(text: str) -> list[list[str]]:
    """The words of each call of adascale, without comments."""
    lines = text.replace("\\\n", " ").splitlines()
    calls = [re.search(r"(?:^\s*|-m )adascale\s+(.*)", line) for line in lines]
    return [shlex.split(call[1], comments=True) for call in calls if call]


def test_commands_are_found() -> None:
    assert commands_in("torchrun -m adascale list x  # y\nadascale \\\n  inspect a\nls adascale") == [
        ["list", "x"],
        ["inspect", "a"],
    ]
    assert len([call for block in all_blocks("sh") for call in commands_in(block.text)]) > 20


@pytest.mark.parametrize("block", [b for b in all_blocks("sh") if commands_in(b.text)], ids=str)
def test_commands_have_only_options_that_exist(block: Block) -> None:
    for words in commands_in(block.text):
        command = "" if words[0].startswith("-") else words[0]
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= options_of(command), f"{block}: {used - options_of(command)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: object) -> None:
    """A block of a language that nothing checks would pass unseen; output has none."""
    for block in blocks_of(page):  # type: ignore[arg-type]
        assert block.language in LANGUAGES, f"{block}: {block.language}"
        assert block.language or not commands_in(block.text), f"{block}: commands without ```sh"
