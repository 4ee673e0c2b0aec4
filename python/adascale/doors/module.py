"""Captures a live module and its data; every Python door uses it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .._C import option
from ..capture import Capture, ExportError, capture, check_example
from ..errors import Error, first_line
from ..formats.hf_saved import SavedWriter
from ..signature import DATA_WORDS, call_of
from .card_source import card_source, folder_of
from .door import DataRequest, OpenedModel
from .given import GivenData
from .live import open_live
from .text_data import Batches, decoder, read_text
from .transformers_model import check_inputs, grouped_experts, is_transformers, text_model


def open_module(
    model: nn.Module,
    stem: str,
    batches: Batches,
    data: DataRequest,
    example: Any = None,
    move: Callable[[nn.Module], None] = lambda _: None,
) -> OpenedModel:
    """Captures ``model`` on the first batch, or on ``example`` where there are none; block by block where
    ``torch.export`` refuses the whole, or where batches are to stay as they are: those of a program of the
    whole are cut from samples.

    move: puts a model that runs live on the device where it is to run.
    """
    shown = _two_samples(batches.calls[0]) if batches.calls else example
    _check_example(model, shown, data.where if batches.calls else "example")
    with grouped_experts(model):
        whole = _ONE_BY_ONE if batches.one_by_one else _capture_whole(model, shown, bool(batches.calls))
        if isinstance(whole, ExportError):
            move(model)
            parts = open_live(model, batches, data, str(whole))
            return OpenedModel(stem, parts=parts, notes=batches.notes, is_shared=True)
    return OpenedModel(
        stem,
        whole.graph,
        whole.tensors,
        _join(whole, batches.calls),
        notes=batches.notes,
        is_shared=True,
    )


_ONE_BY_ONE = ExportError(
    "each batch is given as it is, but a program of the whole takes samples of one shape"
)


def _check_example(model: nn.Module, example: Any, where: str) -> None:
    try:
        check_example(model, example, DATA_WORDS)
    except (Error, TypeError) as error:
        raise Error(f"{where}: {error}") from error


def _capture_whole(model: nn.Module, example: Any, has_data: bool) -> Capture | ExportError:
    """The model's program, or the reason why there is none."""
    try:
        return capture(model, example, DATA_WORDS)
    except ExportError as error:
        if has_data:
            return error
        raise ExportError(
            f"{error}; adascale quantize with {option('data')} and {option('dry_run')} shows such a model "
            "block by block"
        ) from error


def move_to(data: DataRequest, default: str | None) -> Callable[[nn.Module], None]:
    """For a model that nobody else has: moves it to the device asked for, else to ``default``."""
    name = default if data.device == "auto" else data.device

    def move(model: nn.Module) -> None:
        if name is not None:
            model.to(name)

    return move


TENSORS = "for text, and the data is tensors"


class ModuleDoor:
    """A module in memory: any module with batches of tensors, a transformers model also with texts."""

    name = "module"
    description = "an nn.Module"
    data = "a .safetensors, tensors or texts"

    def __init__(self, model: nn.Module, given: GivenData | None, tokenizer: Any) -> None:
        self._model, self._given, self._tokenizer = model, given, tokenizer
        self.formats = ["hf"] if is_transformers(model) else ["pt2", "safetensors", "encodings"]

    def matches(self, model: str) -> bool:
        return True

    def open(self, model: str, data: DataRequest) -> OpenedModel:
        stem = type(self._model).__name__
        cure = f"give {option('tokenizer')}"
        batches = module_batches(self._model, self._tokenizer, cure, data, self._given)
        opened = open_module(self._model, stem, batches, data)
        opened.decode = decoder(self._tokenizer)
        if is_transformers(self._model):
            origin = self._model.name_or_path
            opened.writer = SavedWriter(self._model, self._tokenizer, origin, folder_of(origin))
            opened.card, notes = card_source(origin)
            opened.notes += notes
        return opened


def module_batches(
    model: nn.Module, tokenizer: Any, no_tokenizer: str, data: DataRequest, given: GivenData | None
) -> Batches:
    """Batches of tensors, read from safetensors or made of texts; empty without data.

    no_tokenizer: the cure where texts need one.
    """
    if given is not None and given.batches:
        data.refuse_text_options(TENSORS)
        batches = Batches(given.batches)
    elif is_tensor_file(data.files):
        data.refuse_text_options(TENSORS)
        batches = Batches([read_tensors(data.files[0])])
    elif data.files or given is not None:
        if tokenizer is None:
            raise Error(f"{type(model).__name__}: text data needs the model's tokenizer; {no_tokenizer}")
        if not is_transformers(model):
            raise Error(f"{type(model).__name__}: text data is for transformers models; give tensors")
        return read_text(data, given, text_model(model.config, tokenizer, [type(model).__name__]))
    else:
        return Batches()
    if is_transformers(model):
        check_inputs(model, batches.calls[0], data.where)
    return batches


def is_tensor_file(files: list[str]) -> bool:
    """Whether the data is a ``.safetensors``. Errors: one beside other files."""
    tensor_files = [file for file in files if file.endswith(".safetensors")]
    if tensor_files and len(files) > 1:
        raise Error(
            f"{tensor_files[0]}: got {len(files)} files, expected one .safetensors or several of text"
        )
    return bool(tensor_files)


def read_tensors(path: str) -> dict[str, Tensor]:
    """All tensors of a ``.safetensors``, by name."""
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except Exception as error:  # boundary: the library's own errors, one line
        raise Error(f"{path}: not a readable .safetensors: {first_line(error)}") from error
    if not tensors:
        raise Error(f"{path}: no tensors, so no samples")
    for name, tensor in tensors.items():
        if tensor.dim() == 0 or tensor.shape[0] == 0:
            raise Error(f"{path}: '{name}' has no samples along dimension 0")
    return tensors


def _two_samples(batch: Any) -> Any:
    """The first two samples of a batch, or all of it where the tensors' first sizes differ."""
    args, kwargs = call_of(batch)
    sizes = {t.shape[0] for t in (*args, *kwargs.values()) if isinstance(t, Tensor) and t.dim()}
    if len(sizes) != 1 or sizes.pop() < 2:
        return batch
    if isinstance(batch, Mapping):
        return {name: value[:2] for name, value in batch.items()}
    return tuple(value[:2] for value in args)


def _join(captured: Capture, batches: list[Any]) -> dict[str, Tensor]:
    """The batches' tensors by the graph's input names, joined along dimension 0, on the host."""
    parts: dict[str, list[Tensor]] = {}
    for index, batch in enumerate(batches):
        try:
            leaves = captured.signature.flatten(*call_of(batch))
        except (Error, TypeError) as error:
            raise Error(f"data: batch {index}: {error}") from error
        for name, leaf in zip(captured.input_names, leaves, strict=True):
            if name is not None:
                parts.setdefault(name, []).append(leaf.detach().cpu())
    return {name: _cat(name, tensors) for name, tensors in parts.items()}


def _cat(name: str, tensors: list[Tensor]) -> Tensor:
    if len(tensors) == 1:
        return tensors[0].contiguous()
    shapes = {tuple(tensor.shape[1:]) for tensor in tensors}
    if len(shapes) > 1 or any(tensor.dim() == 0 for tensor in tensors):
        raise Error(
            f"data: '{name}' has shapes {sorted({tuple(t.shape) for t in tensors})}, expected batches that "
            "differ along dimension 0 alone"
        )
    return torch.cat(tensors)
