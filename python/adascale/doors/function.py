"""The door of ``package.module:function``: a function of the user's that returns the model."""

import importlib
import os
import re
import sys
from typing import Any

from torch import nn

from .._C import option
from ..errors import Error, first_line
from ..formats.hf_saved import SavedWriter
from .card_source import card_source, folder_of
from .door import DataRequest, OpenedModel
from .given import GivenData
from .module import module_batches, move_to, open_module
from .text_data import decoder
from .transformers_model import example_of, is_transformers


class FunctionDoor:
    """Imports and calls the function, without arguments.

    It returns an ``nn.Module``, or a pair: with its tokenizer (text data), or with an example of its input
    (to inspect it without data).
    """

    name = "function"
    description = "package.module:function, which returns an nn.Module (or it and a tokenizer or an example)"
    data = ""
    formats = ["pt2", "safetensors", "encodings"]

    def __init__(self, given: GivenData | None = None, tokenizer: Any = None) -> None:
        self._given, self._tokenizer = given, tokenizer

    def matches(self, model: str) -> bool:
        return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", model) is not None

    def open(self, model: str, data: DataRequest) -> OpenedModel:
        module, beside = _call(model)
        is_tokenizer = callable(beside) and hasattr(beside, "eos_token_id")
        tokenizer = beside if is_tokenizer else self._tokenizer
        cure = "return (module, tokenizer) from the function"
        batches = module_batches(module, tokenizer, cure, data, self._given)
        example = None if batches.calls else _example(model, module, None if is_tokenizer else beside)
        opened = open_module(module, model.rpartition(":")[2], batches, data, example, move_to(data, None))
        opened.is_shared = False
        opened.decode = decoder(tokenizer)
        if is_transformers(module):
            origin = module.name_or_path
            opened.writer = SavedWriter(module, tokenizer, origin, folder_of(origin))
            opened.card, notes = card_source(origin)
            opened.notes += notes
        return opened


def _call(model: str) -> tuple[nn.Module, Any]:
    place, _, name = model.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # `python -m` does this, a script of pip does not
    try:
        function = getattr(importlib.import_module(place), name)
    except Exception as error:  # boundary: the user's own code, one line
        raise Error(f"{model}: cannot be imported: {first_line(error)}") from error
    if not callable(function):
        raise Error(f"{model}: is a {type(function).__name__}, expected a function without arguments")
    try:
        made = function()
    except Exception as error:  # boundary: the user's own code, one line
        raise Error(f"{model}: the function failed: {first_line(error)}") from error
    module, beside = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, nn.Module):
        raise Error(
            f"{model}: returned {type(made).__name__}, expected an nn.Module, or a pair that begins with one"
        )
    return module.eval(), beside


def _example(model: str, module: nn.Module, beside: Any) -> Any:
    if beside is not None:
        return beside
    if is_transformers(module):
        return example_of(module)
    raise Error(
        f"{model}: nothing says what its input is; give {option('data')}, or return (module, example) from it"
    )
