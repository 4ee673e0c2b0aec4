"""llama.cpp for tests: its logits of token rows."""

import ctypes
import math
from collections.abc import Iterable
from pathlib import Path

import llama_cpp
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@llama_cpp.llama_log_callback
def _say_nothing(_level: int, _text: bytes, _data: object) -> None:
    pass


llama_cpp.llama_log_set(_say_nothing, ctypes.c_void_p(0))


def logits_of(path: Path, rows: Iterable[npt.NDArray[np.int64]], threads: int = 1) -> list[Floats]:
    """[tokens, vocabulary] of each row, each from an empty context."""
    rows = list(rows)
    model = llama_cpp.Llama(
        str(path),
        n_ctx=max(len(row) for row in rows),
        n_batch=max(len(row) for row in rows),
        logits_all=True,
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )
    found = []
    for row in rows:
        model.reset()
        model.eval(row.tolist())
        found.append(np.array(model.scores[: len(row)], dtype=np.float32))
    model.close()
    return found


def log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), dtype=np.float32)


def perplexity(logits: list[Floats], rows: Iterable[npt.NDArray[np.int64]]) -> float:
    losses = [
        -log_softmax(found[:-1])[np.arange(len(row) - 1), row[1:]]
        for found, row in zip(logits, rows, strict=True)
    ]
    return math.exp(float(np.concatenate(losses).mean()))
