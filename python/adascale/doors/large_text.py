"""Files of text that are too large to be read whole: windows of them, in a seeded order."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..errors import Error

LARGE = 8 << 20
_WINDOW = 16 << 10
_STEP = 4 << 10


def is_large(path: str) -> bool:
    """Whether reading the whole file would take long: above 8 MiB."""
    return os.path.getsize(path) > LARGE


@dataclass
class LargeText:
    """A file in windows of some 16 KiB that begin and end at whitespace, or at line breaks with ``by_line``.

    Without ``by_line`` a record is a window. With it, a record is a line that is not blank: first one line of
    each window, so that few records come from all over the file, then all others. ``parse`` makes a record of
    a text and its place.
    """

    path: str
    by_line: bool
    parse: Callable[[str, str], Any]
    _long_lines: list[range] = field(default_factory=list, init=False)

    def in_order(self, seed: int) -> Iterator[tuple[str, Any]]:
        """(place, record). Errors: a window that is not UTF-8, and what ``parse`` raises."""
        order = list(range(-(-os.path.getsize(self.path) // _WINDOW)))
        random.Random(seed).shuffle(order)
        with open(self.path, "rb") as file:
            for lines_taken in (slice(0, 1), slice(1, None)) if self.by_line else (slice(None),):
                for index in order:
                    where, texts = self._texts(file, index, seed)
                    for text in texts[lines_taken]:
                        yield where, self.parse(text, where)

    def _texts(self, file: BinaryIO, index: int, seed: int) -> tuple[str, list[str]]:
        start, end = (self._cut(file, place * _WINDOW) for place in (index, index + 1))
        where = f"{self.path}: bytes {start} to {end}"
        file.seek(start)
        try:
            text = file.read(end - start).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise Error(f"{where}: is not UTF-8 text: {error.reason}; convert it to UTF-8") from error
        texts = [part for part in (text.split("\n") if self.by_line else [text]) if part.strip()]
        random.Random(f"{seed} {index}").shuffle(texts)
        return where, texts

    def _cut(self, file: BinaryIO, position: int) -> int:
        """The first place from the position on where a window may begin; the file's end if there is none."""
        if position == 0:
            return 0
        file.seek(position - 1)
        return self._line_end(file, position) if self.by_line else _word_end(file.read(_STEP), position - 1)

    def _line_end(self, file: BinaryIO, position: int) -> int:
        for line in self._long_lines:
            if position in line:
                return line.stop
        while some := file.read(_STEP):
            found = some.find(b"\n")
            if found >= 0:
                end = file.tell() - len(some) + found + 1
                break
        else:
            end = file.tell()
        if end - position > _WINDOW:  # other windows would look for the same end
            self._long_lines.append(range(position, end))
        return end


def _word_end(some: bytes, start: int) -> int:
    """Behind the first whitespace; without any, as in Chinese, behind the first character that ends."""
    spaces = [place for place in map(some.find, (b" ", b"\n", b"\t", b"\r")) if place >= 0]
    if spaces:
        return start + min(spaces) + 1
    ends = (place for place in range(1, len(some)) if some[place] & 0xC0 != 0x80)
    return start + next(ends, len(some))
