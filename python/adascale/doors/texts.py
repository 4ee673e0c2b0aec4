"""Documents from files, lists and Datasets: strings, or chat messages that become strings."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import Error, first_line, shown
from .given import FILE_SUFFIXES
from .large_text import LargeText, is_large


class Documents:
    """Records of one source, in a seeded order where the source allows one; they become strings when read."""

    def __init__(
        self, name: str, records: Iterable[Any] | LargeText, places: list[str] | None = None
    ) -> None:
        self.name = name
        self._records = records
        self._places = places  # of the records, for messages; without them they are counted

    def texts(self, tokenizer: Any, seed: int) -> Iterator[tuple[str, bool]]:
        """(text, whether the tokenizer's special tokens are still to be added)."""
        for where, record in self._in_order(seed):
            if isinstance(record, str):
                yield record, True
            elif "messages" in record:
                yield _chat_text(tokenizer, record["messages"], where), False
            else:
                yield _checked_text(record.get("text"), where), True

    def _in_order(self, seed: int) -> Iterator[tuple[str, Any]]:
        if isinstance(self._records, LargeText):
            yield from self._records.in_order(seed)
            return
        if not (hasattr(self._records, "__len__") and hasattr(self._records, "__getitem__")):
            for index, record in enumerate(self._records):
                yield self._where(index), _checked_record(record, self._where(index))
            return
        order = list(range(len(self._records)))
        random.Random(seed).shuffle(order)
        for index in order:
            yield self._where(index), _checked_record(self._records[index], self._where(index))

    def _where(self, index: int) -> str:
        return self._places[index] if self._places else f"{self.name}: record {index + 1}"


def read_documents(path: str, by_line: bool) -> Documents:
    """A ``.txt`` is one document, or one per line that is not blank; a ``.jsonl`` has one per line.

    Of a file above 8 MiB only what is needed is read and checked, from all over it (large_text.py).
    Errors: unknown extension, not UTF-8, an empty file, and each line that is not an object with text or
    messages.
    """
    suffix = Path(path).suffix
    if suffix not in FILE_SUFFIXES:
        raise Error(f"{path}: got {suffix or 'no extension'}, expected {', '.join(FILE_SUFFIXES)}")
    is_jsonl = suffix == ".jsonl"
    if _is_large(path):
        return Documents(path, LargeText(path, is_jsonl or by_line, _parse if is_jsonl else _as_text))
    if is_jsonl:
        records = read_records(path)
        return Documents(path, [record for _, record in records], [place for place, _ in records])
    text = _read(path)
    return Documents(path, [line for _, line in _lines(text)] if by_line else [text])


def read_records(path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The objects of a ``.jsonl``, each with its place: ``chat.jsonl:3``. Errors as above."""
    lines = [(f"{path}:{number}", line) for number, line in _lines(_read(path))]
    return [(where, _parse(line, where)) for where, line in lines]


def _is_large(path: str) -> bool:
    try:
        return is_large(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> Error:
    return Error(f"{path}: cannot be read: {error.strerror}; make it readable, or give another file")


def _read(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise Error(
            f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}; convert it to UTF-8"
        ) from error
    if not text.strip():
        raise Error(f"{path}: no text in it; give a file with the text to calibrate on")
    return text


def _lines(text: str) -> list[tuple[int, str]]:
    """Those that are not blank, with their numbers."""
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _as_text(text: str, where: str) -> str:
    return text


def _parse(line: str, where: str) -> Any:
    try:
        record = json.loads(line)
        if "\\u" in line:
            _check_characters(record, where)
    except json.JSONDecodeError as error:
        raise Error(f"{where}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, deep nesting
        raise Error(f"{where}: cannot be read as JSON: {first_line(error)}") from error
    return _checked(record, where)


def _check_characters(record: Any, where: str) -> None:
    """JSON can write half of a character, which no tokenizer takes."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ord(error.object[error.start])
        raise Error(f"{where}: has \\u{half:04x}, half of a character; add the other half") from error


def _checked_record(record: Any, where: str) -> Any:
    return record if isinstance(record, str) else _checked(record, where)


def _checked(record: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise Error(f'{where}: got {type(record).__name__}, expected an object with "text" or "messages"')
    if "text" not in record and "messages" not in record:
        raise Error(f'{where}: got keys {shown(list(record))}, expected "text" or "messages"')
    if "messages" in record:
        _check_messages(record["messages"], where)
    else:
        _checked_text(record["text"], where)
    return record


def _check_messages(messages: Any, where: str) -> None:
    # A template would print missing messages as nothing.
    if not isinstance(messages, list) or not messages:
        raise Error(f'{where}: "messages" is {type(messages).__name__}, expected a list of messages')
    for message in messages:
        if not isinstance(message, Mapping) or "role" not in message or "content" not in message:
            raise Error(
                f'{where}: a message is {shown(message)}, expected an object with "role" and "content"'
            )


def _checked_text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise Error(f'{where}: "text" is {type(text).__name__}, expected a string')
    return text


def _chat_text(tokenizer: Any, messages: Any, where: str) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise Error(f'{where}: chat messages, but the tokenizer has no chat template; give "text" instead')
    if any(_has_image(message["content"]) for message in messages):
        raise Error(
            f"{where}: has an image; give the path of the .jsonl with the folder of a vision-language model"
        )
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))
    except Exception as error:  # boundary: a template may raise any exception
        raise Error(f"{where}: the tokenizer's chat template refuses it: {first_line(error)}") from error


def _has_image(content: Any) -> bool:
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, Mapping) and part.get("type") == "image" for part in parts)
