"""The texts of the accuracy table, and their rows of tokens.

    python bench/accuracy/text.py    # makes texts.json.xz anew, from Python and two packages of Debian

Calibration: Python's help topics and its library reference. Held out: other help topics (text of the same
kind), licences, and the beginning of Debian's policy manual (texts of two other kinds). No document is in two
of the four. Help topics repeat each other, so a calibration row that shares 13 tokens in a row with any
held-out row is left out. The texts are kept in the tree: they differ from one Python and Debian to the next.
"""

from __future__ import annotations

import gzip
import json
import lzma
import pydoc_data.topics
import random
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

TEXTS = Path(__file__).with_name("texts.json.xz")
HELD_OUT = ("topics", "licences", "manual")
WINDOW = 13  # tokens
LICENCES = ("Apache-2.0", "Artistic", "GFDL-1.3", "GPL-3", "MPL-2.0")
CALIBRATION_CHARACTERS = 720_000
HELD_OUT_TOPICS = 10
MANUAL_CHARACTERS = 120_000


@dataclass(frozen=True)
class Texts:
    """Rows of all texts, cut by a model's own tokenizer."""

    tokens: int  # in a row
    held_out_rows: int  # of each text
    held_out: ClassVar[tuple[str, ...]] = HELD_OUT

    def make_rows(self, folder: Path) -> dict[str, torch.Tensor]:
        from transformers import AutoTokenizer

        return rows_of(AutoTokenizer.from_pretrained(folder), self.tokens, self.held_out_rows)


def rows_of(tokenizer: Any, length: int, held_out_rows: int) -> dict[str, torch.Tensor]:
    """Token ids [rows, length] of "calibration" and of each held-out text, in a seeded order.

    Each row is between the tokens that the tokenizer puts around a text.
    """
    texts = json.loads(lzma.decompress(TEXTS.read_bytes()))
    rows = {name: _cut(tokenizer, documents, length) for name, documents in texts.items()}
    held_out = {name: rows[name][:held_out_rows] for name in HELD_OUT}
    seen = {window for row in torch.cat(list(held_out.values())) for window in windows(row)}
    own = [row for row in rows["calibration"] if seen.isdisjoint(windows(row))]
    return {"calibration": torch.stack(own), **held_out}


def windows(row: torch.Tensor) -> set[tuple[int, ...]]:
    tokens = row.tolist()
    return {tuple(tokens[i : i + WINDOW]) for i in range(len(tokens) - WINDOW + 1)}


def _cut(tokenizer: Any, documents: list[str], length: int) -> torch.Tensor:
    """A document's last, short row is left out."""
    around = tokenizer("")["input_ids"]  # none, or a token at each end
    before, after = around[:1], around[1:]
    inner = length - len(around)
    rows: list[list[int]] = []
    for document in documents:
        tokens = tokenizer(document, add_special_tokens=False, verbose=False)["input_ids"]
        cuts = range(0, len(tokens) - inner + 1, inner)
        rows += [before + tokens[i : i + inner] + after for i in cuts]
    random.Random(0).shuffle(rows)
    return torch.tensor(rows)


def _shuffled(documents: Iterable[str]) -> list[str]:
    found = sorted(documents)
    random.Random(0).shuffle(found)
    return found


def _debian(package: str, folder: Path) -> Path:
    """What the package installs, under a folder."""
    subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob(f"{package}_*.deb")
    subprocess.run(["dpkg", "-x", archive, folder / package], check=True)
    return folder / package


def main() -> None:
    topics = _shuffled(pydoc_data.topics.topics.values())
    with tempfile.TemporaryDirectory() as folder:
        python = _debian("python3.11-doc", Path(folder))
        policy = _debian("debian-policy", Path(folder))
        sources = python / "usr/share/doc/python3.11/html/_sources/library"
        library = _shuffled(path.read_text() for path in sources.glob("*.rst.txt"))
        manual = gzip.decompress((policy / "usr/share/doc/debian-policy/policy.txt.gz").read_bytes()).decode()
    calibration = topics[HELD_OUT_TOPICS:]
    while sum(map(len, calibration)) < CALIBRATION_CHARACTERS:
        calibration.append(library.pop())
    licences = [Path("/usr/share/common-licenses", name).read_text() for name in LICENCES]
    texts = {
        "calibration": calibration,
        "topics": topics[:HELD_OUT_TOPICS],
        "licences": licences,
        "manual": [manual[:MANUAL_CHARACTERS]],
    }
    TEXTS.write_bytes(lzma.compress(json.dumps(texts).encode(), preset=9))


if __name__ == "__main__":
    main()
