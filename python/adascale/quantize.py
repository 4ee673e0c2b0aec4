"""The one call: a model and its data in, a folder with the quantized model out."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import nn

from . import _C
from .doors import FolderDoor, FunctionDoor, ModuleDoor
from .doors.door import Door
from .doors.given import GivenData, sort_data
from .errors import Error
from .options import QuantizeKeywords, document, keywords_of
from .processes import note_alone
from .progress import Progress


def quantize(
    model: str | os.PathLike[str] | nn.Module,
    output_dir: str | os.PathLike[str],
    data: Any,
    *,
    tokenizer: Any = None,
    formats: Sequence[str] = (),
    layer_config: Mapping[str, Mapping[str, Any]] | None = None,
    progress: bool = True,
    **options: Unpack[QuantizeKeywords],
) -> _C.AdaScaleReport:
    """The same as ``adascale quantize``: opens a model, trains the layers inside its blocks, writes files.

    A model that ``torch.export`` refuses as a whole, or whose data is chats with images, is taken block by
    block; the plan says so, and what is outside the blocks stays in full precision.

    model: a transformers model folder or ``.gguf``, a ``.pt2``, ``"package.module:function"``, or an
        ``nn.Module``, which stays as it was.
    output_dir: made if missing; files appear in it all or none.
    data: a ``.txt`` or ``.jsonl`` file (a line an object with "text" or chat "messages"; for the folder of a
        vision-language model these may have paths of images, and a line is a batch), several of them, a
        list of strings, a Dataset of such records; or a ``.safetensors`` named as the model's inputs, a
        tensor, or batches: a list of tensors, or of tuples or dicts of tensors, samples along dimension 0.
    tokenizer: for texts, unless the model is a folder that has one.
    formats: as ``adascale list formats`` shows them; without it those that fit the kind of model: ``hf`` for
        transformers folders and transformers models in memory, else pt2, safetensors and encodings; of a
        model taken block by block those that need no program of the whole.
    layer_config: as in :class:`QuantizationSimModel`; wins over all other options.
    progress: shows a bar on a terminal, plain lines elsewhere, on standard error.

    Layers outside the blocks (embeddings, heads, stems) stay in full precision unless ``outside_bw`` gives
    them bits, or a target does beside ``train_outside``; what is left is printed, with the plan and a
    summary. Returns the report, which prints as a table. Raises :class:`adascale.Error`: before any training
    with what can be known then; later, on a full disk for example, it names the finished blocks from which
    ``resume=True`` goes on. Either way the output folder stays as it was.
    """
    note_alone()
    if isinstance(formats, str):
        raise Error(f"quantize: formats: got the string {formats!r}, expected a list such as [{formats!r}]")
    keywords = keywords_of(options)
    request = _C.QuantizeRequest(
        os.fspath(output_dir), list(formats), json.dumps(layer_config or {}), keywords
    )  # checks the options before the data, which may take long
    files, given = sort_data(data)
    if given is not None and keywords.get("data_weights"):
        raise Error(
            f"{_C.option('data_weights')}: data in memory takes no weights; they share samples among "
            "data files"
        )
    name, doors = _doors(model, given, tokenizer)
    with Progress(progress) as show, torch.inference_mode(False):
        return _C.quantize(request, doors, name, files, _say, show)


def _doors(model: Any, given: GivenData | None, tokenizer: Any) -> tuple[str, list[Door]]:
    if isinstance(model, nn.Module):
        return type(model).__name__, [ModuleDoor(model, given, tokenizer)]
    if not isinstance(model, (str, os.PathLike)):
        raise Error(f"model: got {type(model).__name__}, expected a path, a name or a torch.nn.Module")
    path = os.fspath(model)
    if path.endswith(".pt2") and given is not None:
        raise Error(f"{path}: a .pt2 takes its data from a .safetensors; give the path of one")
    return path, [FolderDoor(given, tokenizer), FunctionDoor(given, tokenizer)]


def _say(text: str) -> None:
    print(text, end="", flush=True)


quantize.__doc__ = document(quantize.__doc__, _C.quantize_keywords())
