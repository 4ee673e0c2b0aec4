"""llama.cpp through llama-cpp-python."""

from typing import Any

import torch
from torch import Tensor

from .._C import option
from ..errors import Error, first_line
from .runtime import RunBatch, need_packages, only_file


class LlamaCpp:
    """Runs a folder's ``.gguf`` row by row; products with quantized weights round activations to 8 bits."""

    name = "llama.cpp"
    packages = ("llama-cpp-python",)
    files = "*.gguf"
    description = "llama.cpp, CPU, logits of token rows"

    def open(self, folder: str, inputs: list[str], outputs: list[str | None]) -> RunBatch:
        path = only_file(self.name, folder, ".gguf", "gguf")
        need_packages(self.name, *self.packages)
        if "input_ids" not in inputs:
            raise Error(
                f"{option('runtime', self.name)}: the model has no input_ids, but {', '.join(inputs)}"
            )
        model = _Model(path)

        def run(batch: dict[str, Tensor]) -> list[Tensor | None]:
            ids = batch["input_ids"]
            lengths = _lengths(batch.get("attention_mask", torch.ones_like(ids)))
            rows = [model.logits(row[:length]) for row, length in zip(ids, lengths, strict=True)]
            logits = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            missing = ids.shape[1] - logits.shape[1]  # if every row is padded: those positions do not count
            logits = torch.nn.functional.pad(logits, (0, 0, 0, missing))
            return [logits, *[None] * (len(outputs) - 1)]

        return run


def _lengths(mask: Tensor) -> list[int]:
    """Lengths of rows padded on the right."""
    lengths = mask.long().sum(1)
    if not torch.equal(mask.long(), (torch.arange(mask.shape[1]) < lengths[:, None]).long()):
        raise Error(
            f"{option('runtime', 'llama.cpp')}: attention_mask: got padding on the left, expected it on "
            "the right"
        )
    return [int(length) for length in lengths]


class _Model:
    """A file, loaded again when a row is longer than any before."""

    def __init__(self, path: str) -> None:
        self._path, self._context = path, 0
        self._load(512)

    def logits(self, row: Tensor) -> Tensor:
        """fp32 [tokens, vocabulary] of one row, from an empty context."""
        if len(row) > self._context:
            self._load(len(row))
        try:
            self._model.reset()
            self._model.eval(row.tolist())
        except Exception as error:  # boundary: the runtime's own errors, one line
            raise Error(f"{self._path}: llama.cpp cannot run it: {first_line(error)}") from error
        return torch.tensor(self._model.scores[: len(row)])

    def _load(self, context: int) -> None:
        import llama_cpp

        threads = torch.get_num_threads()
        options: dict[str, Any] = {"n_ctx": context, "n_batch": context, "n_threads": threads}
        try:
            self._model = llama_cpp.Llama(
                self._path, logits_all=True, n_threads_batch=threads, verbose=False, **options
            )
        except Exception as error:  # boundary: the runtime's own errors, one line
            version = llama_cpp.__version__
            raise Error(f"{self._path}: llama.cpp {version} refuses it: {first_line(error)}") from error
        self._context = context
