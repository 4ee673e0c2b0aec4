"""Chat messages with images, through a model's own processor: a line is a batch."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .._C import option
from ..errors import Error, first_line, shown, shown_path
from .door import DataRequest
from .rows import DEFAULT_SAMPLES, TextModel
from .text_data import Batches
from .texts import read_records

OURS = ("text", "image")


def holds_images(files: list[str]) -> bool:
    """Whether a message in one of the ``.jsonl`` files has an image."""
    return any(
        part.get("type") == "image"
        for file in files
        if file.endswith(".jsonl")
        for _, record in read_records(file)
        for part in _parts(record)
    )


def read_chats(data: DataRequest, processor: Any, model: TextModel) -> Batches:
    """A batch per line: what the processor makes of its messages.

    Lines are taken in a seeded order. Errors, with the line: another file than ``.jsonl``, a line without
    messages, images that cannot be read, what the processor refuses, more tokens than the model takes.
    """
    data.refuse_text_options("for text alone, and the data has images")
    lines = [(where, Path(file).parent, record) for file in data.files for where, record in _chats(file)]
    wanted = min(DEFAULT_SAMPLES, len(lines)) if data.samples is None else data.samples
    if wanted > len(lines):
        raise Error(
            f"{', '.join(data.files)}: {len(lines)} lines, but {option('samples')} asks for {wanted} batches"
        )
    chosen = random.Random(data.seed).sample(lines, wanted)
    calls = [_process(processor, messages, folder, where, model) for where, folder, messages in chosen]
    return Batches(calls, ["each line of chat messages is a batch of its own"], one_by_one=True)


def _chats(file: str) -> list[tuple[str, Any]]:
    if not file.endswith(".jsonl"):
        raise Error(f"{file}: beside chat messages with images; give .jsonl files of messages alone")
    records = read_records(file)
    for where, record in records:
        if "messages" not in record:
            raise Error(
                f'{where}: has "text", but other lines have images; expected "messages" in every line'
            )
    return [(where, record["messages"]) for where, record in records]


def _parts(record: Mapping[str, Any]) -> list[Any]:
    contents = [message["content"] for message in record.get("messages", [])]
    lists = [content for content in contents if isinstance(content, list)]
    return [part for content in lists for part in content if isinstance(part, Mapping)]


def _process(processor: Any, messages: Any, folder: Path, where: str, model: TextModel) -> dict[str, Tensor]:
    shown = [{**message, "content": _content(message["content"], folder, where)} for message in messages]
    try:
        made = processor.apply_chat_template(shown, tokenize=True, return_dict=True, return_tensors="pt")
    except Exception as error:  # boundary: a template and a processor may raise any exception
        raise Error(f"{where}: the model's processor refuses it: {first_line(error)}") from error
    batch = {name: value for name, value in made.items() if isinstance(value, Tensor)}
    tokens = batch["input_ids"]
    if model.longest is not None and tokens.shape[-1] > model.longest:
        raise Error(
            f"{where}: {tokens.shape[-1]} tokens with those of its images, but the model takes at most "
            f"{model.longest}; shorten it, or give smaller images"
        )
    if model.vocabulary is not None and int(tokens.max()) >= model.vocabulary:
        raise Error(
            f"{where}: the processor gives token {int(tokens.max())}, but the model has {model.vocabulary}; "
            "it is another model's processor"
        )
    return batch


def _content(content: Any, folder: Path, where: str) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise Error(f'{where}: "content" is {type(content).__name__}, expected a string or a list of parts')
    return [_part(part, folder, where) for part in content]


def _part(part: Any, folder: Path, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in OURS or not isinstance(part.get(kind), str):
        raise Error(
            f'{where}: a part of the content is {shown(part)}, expected {{"type": "text", "text": ...}} or '
            '{"type": "image", "image": "file.png"}'
        )
    return dict(part) if kind == "text" else {"type": "image", "image": _open(folder / part[kind], where)}


def _open(path: Path, where: str) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # boundary: files of any kind
        # An OSError's own text has the path once more, as it is.
        told = getattr(error, "strerror", None)
        reason = f"{type(error).__name__}: {told}" if told else first_line(error)
        raise Error(f"{where}: {shown_path(path)}: not a readable image file: {reason}") from error
