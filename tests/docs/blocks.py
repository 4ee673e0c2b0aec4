"""The fenced blocks of the pages, with the mark in the comment before them: <!-- run: NAME -->."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench/README.md"])
FENCE = re.compile(r"^(?:<!-- run: (\w+) -->\n)?```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SITE_PART = re.compile(r"<!-- site\n.*?\n-->", re.DOTALL)


@dataclass
class Block:
    """One fenced block; `language` is empty where none is named."""

    page: str
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = SITE_PART.sub(lambda part: "\n" * part[0].count("\n"), page.read_text(encoding="utf-8"))
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, found.start(3)) + 1, found[2], found[1] or "", found[3])
        for found in FENCE.finditer(text)
    ]


def all_blocks(language: str) -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page) if block.language == language]


def marked(page: str, mark: str) -> Block:
    (block,) = (b for b in blocks_of(ROOT / page) if b.mark == mark)
    return block
