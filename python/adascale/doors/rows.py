"""Rows of tokens from documents: packed one after another, or padded, one document per row."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._C import option
from ..errors import Error
from .door import DataRequest
from .texts import Documents

DEFAULT_SAMPLES = 128
DEFAULT_SEQ_LEN = 512


@dataclass(frozen=True)
class TextModel:
    """The properties of a model and its tokenizer that decide the rows."""

    tokenizer: Any
    is_causal: bool
    vocabulary: int | None  # rows of the embedding
    longest: int | None  # tokens the model takes


def is_packed(request: DataRequest, model: TextModel) -> bool:
    """Whether the texts fill rows one after another."""
    return model.is_causal if request.packing == "auto" else request.packing == "packed"


def token_rows(sources: list[Documents], request: DataRequest, model: TextModel) -> dict[str, Tensor]:
    """``input_ids`` [samples, tokens], int64, and if padded ``attention_mask`` of the same shape.

    ``request.data_weights`` share the samples among the sources; without them the sources are one text.
    Errors: ``seq_len`` beyond the model, too little text, tokens beyond the model's vocabulary.
    """
    seq_len = _seq_len(request, model)
    wanted = request.samples or DEFAULT_SAMPLES
    weights = request.data_weights
    if weights and (len(weights) != len(sources) or not sum(weights)):
        raise Error(
            f"{option('data_weights')}: got {weights} for {len(sources)} sources, expected one each, "
            "not all 0"
        )
    pools = [[source] for source in sources] if weights else [sources]
    cut = _packed if is_packed(request, model) else _padded
    found = []
    for pool, share in zip(pools, _shares(wanted, weights or [1.0]), strict=True):
        found.append(cut(pool, model.tokenizer, share, seq_len, request.seed) if share else [])
    rows = _mix(found, pools, request, wanted, weights or [1.0])
    _check_vocabulary(rows, model, sources)
    random.Random(request.seed).shuffle(rows)
    if is_packed(request, model):
        return {"input_ids": torch.tensor(rows, dtype=torch.int64)}
    return _pad(rows, model.tokenizer)


def _seq_len(request: DataRequest, model: TextModel) -> int:
    if request.seq_len is None:
        return min(DEFAULT_SEQ_LEN, model.longest or DEFAULT_SEQ_LEN)
    if model.longest is not None and request.seq_len > model.longest:
        raise Error(
            f"{option('seq_len')}: got {request.seq_len}, but the model takes at most {model.longest} tokens"
        )
    return request.seq_len


def _shares(count: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to the weights that add up to ``count``; the largest remainders win."""
    exact = [count * weight / sum(weights) for weight in weights]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: exact[i] - shares[i], reverse=True)
    for i in by_remainder[: count - sum(shares)]:
        shares[i] += 1
    return shares


def _encode(pool: list[Documents], tokenizer: Any, seed: int, **options: Any) -> Any:
    for source in pool:
        for text, with_special in source.texts(tokenizer, seed):
            encoded = tokenizer(text, add_special_tokens=with_special, verbose=False, **options)
            yield list(encoded["input_ids"])


def _packed(pool: list[Documents], tokenizer: Any, count: int, seq_len: int, seed: int) -> list[list[int]]:
    """Rows of ``seq_len``, at most ``count``; with the end-of-text token, if any, between documents."""
    stream: list[int] = []
    end = tokenizer.eos_token_id
    for ids in _encode(pool, tokenizer, seed):
        if stream and end is not None and stream[-1] != end:
            stream.append(end)
        stream += ids
        if len(stream) >= count * seq_len:
            break
    if len(stream) < seq_len:
        raise Error(
            f"{_names(pool)}: {len(stream)} tokens, expected {seq_len} or more for one sample; "
            f"give more text, a smaller {option('seq_len')}, or {option('packing', 'padded')}"
        )
    rows = [stream[start : start + seq_len] for start in range(0, len(stream) - seq_len + 1, seq_len)]
    return random.Random(seed).sample(rows, min(count, len(rows)))


def _padded(pool: list[Documents], tokenizer: Any, count: int, seq_len: int, seed: int) -> list[list[int]]:
    rows: list[list[int]] = []
    for ids in _encode(pool, tokenizer, seed, truncation=True, max_length=seq_len):
        if ids:
            rows.append(ids[:seq_len])
        if len(rows) == count:
            break
    if not rows:
        raise Error(f"{_names(pool)}: the tokenizer finds no token in it")
    return rows


def _mix(
    found: list[list[list[int]]],
    pools: list[list[Documents]],
    request: DataRequest,
    wanted: int,
    weights: list[float],
) -> list[list[int]]:
    """As many rows as requested; without ``samples``, as many as the proportions allow."""
    shares = _shares(wanted, weights)
    short = [i for i, rows in enumerate(found) if len(rows) < shares[i]]
    if short and request.samples is not None:
        texts = [f"{_names(pools[i])}: {len(found[i])} samples, expected {shares[i]}" for i in short]
        cure = f"give more text, a smaller {option('seq_len')} or fewer {option('samples')}"
        raise Error("; ".join([*texts, cure]))
    if short:
        possible = min(len(rows) * sum(weights) / w for rows, w in zip(found, weights, strict=True) if w)
        shares = _shares(int(possible), weights)
        shares = [min(share, len(rows)) for share, rows in zip(shares, found, strict=True)]
    return [row for rows, share in zip(found, shares, strict=True) for row in rows[:share]]


def _check_vocabulary(rows: list[list[int]], model: TextModel, sources: list[Documents]) -> None:
    highest = max(max(row) for row in rows)
    if model.vocabulary is not None and highest >= model.vocabulary:
        raise Error(
            f"{_names(sources)}: the tokenizer gives token {highest}, but the model has {model.vocabulary}; "
            "it is another model's tokenizer"
        )


def _pad(rows: list[list[int]], tokenizer: Any) -> dict[str, Tensor]:
    filler = next((i for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), filler, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _names(sources: list[Documents]) -> str:
    return ", ".join(source.name for source in sources)
