"""llama.cpp for tests and measurements: logits of token rows, and its own quantization."""

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


def kl_divergence(reference: list[Floats], logits: list[Floats]) -> float:
    """Mean over tokens of KL(reference || logits), nats."""
    divergences = []
    for p, q in zip(reference, logits, strict=True):
        log_p, log_q = log_softmax(p), log_softmax(q)
        divergences.append((np.exp(log_p) * (log_p - log_q)).sum(-1))
    return float(np.concatenate(divergences).mean())


def quantize_by_llama_cpp(
    source: Path, target: Path, file_type: int, importance: dict[str, Floats] | None = None
) -> None:
    """llama.cpp's own quantization; ``importance``: a tensor's name -> mean square of each of its inputs."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.allow_requantize = True
    params.nthread = 1
    if importance is not None:
        rows = (llama_cpp.llama_model_imatrix_data * (len(importance) + 1))()
        for i, (name, values) in enumerate(importance.items()):
            data = np.ascontiguousarray(values, dtype=np.float32)
            importance[name] = data  # alive as long as the call
            rows[i].name = name.encode()
            rows[i].data = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            rows[i].size = data.size
        params.imatrix = rows
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    if status != 0:
        raise RuntimeError(f"{source}: llama.cpp could not quantize it: status {status}")
