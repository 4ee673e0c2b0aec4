"""Data as batches of named tensors: text files and texts become rows of tokens, tensors stay as they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .door import DataRequest
from .given import GivenData
from .rows import DEFAULT_SAMPLES, TextModel, is_packed, token_rows
from .texts import Documents, read_documents


@dataclass(frozen=True)
class Batches:
    """The batches of inputs for a module (none: no data), and a note on how they were made."""

    calls: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    one_by_one: bool = False  # each is a batch as it is: neither cut nor joined


def read_text(data: DataRequest, given: GivenData | None, model: TextModel) -> Batches:
    """One batch of named inputs, samples along dimension 0: see :func:`token_rows`."""
    packed = is_packed(data, model)
    if data.files:
        sources = [read_documents(file, by_line=not packed) for file in data.files]
    else:
        assert given is not None and given.texts is not None
        sources = [Documents("data", given.texts)]
    rows = token_rows(sources, data, model)
    count, tokens = rows["input_ids"].shape
    how = f"packed into samples of {tokens}" if packed else f"a text a sample, padded to {tokens}"
    notes = [f"texts are {how} tokens"]
    if data.samples is None and count < DEFAULT_SAMPLES:
        notes.append(f"the texts give {count} of the {DEFAULT_SAMPLES} samples that are taken by default")
    return Batches([rows], notes)


def decoder(tokenizer: Any) -> Callable[[list[int]], str] | None:
    """Tokens as text, for reports; None without a tokenizer."""
    if tokenizer is None:
        return None
    return lambda ids: str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))
