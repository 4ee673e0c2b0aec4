#!/usr/bin/env python3
"""The reader of .jsonl files under atheris: fuzz_jsonl.py [libFuzzer's options] CORPUS...

Needs no build: something stands in for the package's C++. tests/python/test_fuzz_corpus.py replays the corpus
with the package itself.
"""

import contextlib
import json
import random
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

PACKAGE = Path(__file__).parents[2] / "python" / "adascale"
LONGEST = 1000  # characters of an error: a line, not the input


class Template:
    """A tokenizer or processor whose template shows texts and refuses what it does not know."""

    chat_template = "yes"

    def apply_chat_template(self, messages: Any, **options: Any) -> Any:
        parts = [part for message in messages for part in [message["role"], message["content"]]]
        if options.get("return_dict"):
            return {"input_ids": MagicMock()}
        return "\n".join(parts)


def check(path: Path) -> None:
    """Each way to read the file gives texts that can be encoded, or an Error that begins with its path."""
    from adascale.doors.chats import _content, holds_images, read_records
    from adascale.doors.texts import read_documents
    from adascale.errors import Error

    def texts() -> None:
        for text, _ in read_documents(str(path), by_line=True).texts(Template(), seed=0):
            text.encode()

    def images() -> None:
        holds_images([str(path)])
        for where, record in read_records(str(path)):
            for message in record.get("messages", []):
                _content(message["content"], path.parent, where)

    for read in (texts, images):
        try:
            read()
        except Error as error:
            text = str(error)
            is_about_a_line = re.match(rf"{re.escape(str(path))}:\d+: ", text)
            is_about_all = text.startswith((f"{path}: no text", f"{path}: is not UTF-8 text: "))
            assert is_about_a_line or is_about_all, f"no place: {text[:LONGEST]}"
            assert len(text) < LONGEST, f"shows too much: {text[:LONGEST]}"
            assert text.isprintable(), f"more than a line: {text!r}"


def stand_in_for_extension() -> None:
    for name, folder in (("adascale", PACKAGE), ("adascale.doors", PACKAGE / "doors")):
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    for name in ("adascale._C", "adascale.live_runs", "adascale.formats.quantized"):
        sys.modules[name] = MagicMock()


def values_of(document: Any) -> list[Any]:
    """The lists and objects inside, which a mutation may change."""
    found, rest = [], [document]
    while rest and len(found) < 1000:
        value = rest.pop()
        if isinstance(value, (list, dict)):
            found.append(value)
            rest += value.values() if isinstance(value, dict) else value
    return found


KEYS = ["text", "messages", "role", "content", "type", "image", "a\nb"]
LITERALS = [None, True, 0, -1.5, 10**20, "", "text", "image", "a\nb", "\ud800", "\0", "é", [], {}, [[]]]


def change(document: Any, chance: random.Random) -> None:
    value = chance.choice(values_of(document))
    new = chance.choice([*LITERALS, *values_of(document)])
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = chance.choice(places) if places else None
    if place is not None and chance.random() < 0.3:
        del value[place]
    elif isinstance(value, list):
        value.insert(place or 0, new)
    else:
        value[place if chance.random() < 0.7 and place else chance.choice(KEYS)] = new


def mutate(data: bytes, longest: int, seed: int) -> bytes:
    import atheris

    chance = random.Random(seed)
    if chance.random() < 0.5:
        with contextlib.suppress(ValueError, RecursionError, IndexError):
            lines = data.decode().split("\n")
            at = chance.randrange(len(lines))
            record = [json.loads(lines[at])]
            change(record, chance)
            lines[at] = json.dumps(record[0] if record else None)
            new = "\n".join(lines).encode()
            if len(new) <= longest:
                return new
    return atheris.Mutate(data, longest)


def main() -> None:
    import atheris

    stand_in_for_extension()
    with atheris.instrument_imports(include=["adascale"]):
        import adascale.doors.chats  # noqa: F401
    memory = "/dev/shm"  # a file on a disk is truncated in a millisecond, as long as all else takes
    with tempfile.TemporaryDirectory(dir=memory if Path(memory).is_dir() else None) as folder:
        path = Path(folder, "f.jsonl")

        def test(data: bytes) -> None:
            path.write_bytes(data)
            check(path)

        atheris.Setup(sys.argv, test, custom_mutator=lambda data, longest, seed: mutate(data, longest, seed))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
