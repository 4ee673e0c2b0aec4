"""The door of transformers folders: config, weights as safetensors or one GGUF, and a tokenizer for text."""

from pathlib import Path
from typing import Any, ClassVar

from .. import _C
from ..formats.hf_folder import FolderWriter
from ..formats.hf_saved import SavedWriter
from ..transformers_output import quiet_transformers
from .card_source import card_source
from .chats import holds_images, read_chats
from .door import DataRequest, OpenedModel
from .folder_source import (
    Source,
    check_config,
    find_source,
    load_config,
    load_model,
    load_processor,
    load_tokenizer,
    model_class,
    need_packages,
)
from .given import GivenData
from .module import TENSORS, is_tensor_file, move_to, open_module, read_tensors
from .text_data import Batches, decoder, read_text
from .transformers_model import check_inputs, example_of, text_model


class FolderDoor:
    """Opens a folder as transformers does, with the class that its config names."""

    name = "folder"
    description = "a transformers model folder or its .gguf"
    data = (
        "for a folder also .txt or .jsonl files, through its tokenizer, or .jsonl files of chat messages "
        "with paths of images, through its processor"
    )
    formats = ["hf"]
    packages: ClassVar[dict[str, tuple[str, ...]]] = {
        "transformers folder": ("transformers", "safetensors"),
        ".gguf": ("transformers", "safetensors", "gguf", "accelerate"),
    }

    def __init__(self, given: GivenData | None = None, tokenizer: Any = None) -> None:
        self._given, self._tokenizer = given, tokenizer

    def matches(self, model: str) -> bool:
        return Path(model).is_dir() or Path(model).suffix == ".gguf"

    def open(self, model: str, data: DataRequest) -> OpenedModel:
        source = find_source(model)
        need_packages(*self.packages[".gguf" if source.gguf else "transformers folder"])
        with quiet_transformers():
            config = load_config(source)
            check_config(source, config)
            kind = model_class(source, config)
            batches, tokenizer = self._read(source, config, kind, data)
            module = load_model(source, kind)
        if batches.calls:
            check_inputs(module, batches.calls[0], data.where)
        opened = open_module(
            module,
            Path(source.folder).resolve().name,
            batches,
            data,
            None if batches.calls else example_of(module),
            move_to(data, _C.preferred_device()),
        )
        opened.is_from_file = True
        opened.is_shared = False
        opened.decode = decoder(tokenizer)
        opened.source = str(Path(source.folder, source.gguf or ""))
        # A .gguf may lie beside anything, whose card and licence are not the model's.
        origin = source.folder if Path(model).is_dir() else ""
        opened.card, notes = card_source(origin)
        opened.notes += notes
        if source.gguf is None:
            opened.writer = writer = FolderWriter(module, source.folder)
            opened.stored_names = writer.stored_names()
        else:
            opened.writer = SavedWriter(module, tokenizer or load_tokenizer(source), source.folder, origin)
        return opened

    def _read(self, source: Source, config: Any, kind: Any, data: DataRequest) -> tuple[Batches, Any]:
        """Batches and the tokenizer, read before the weights, which take longer."""
        given = self._given
        if given is not None and given.batches:
            data.refuse_text_options(TENSORS)
            return Batches(given.batches), self._tokenizer
        if is_tensor_file(data.files):
            data.refuse_text_options(TENSORS)
            return Batches([read_tensors(data.files[0])]), self._tokenizer
        if not data.files and given is None:
            return Batches(), self._tokenizer
        if holds_images(data.files):
            processor = load_processor(source)
            tokenizer = processor.tokenizer
            return read_chats(data, processor, text_model(config, tokenizer, [kind.__name__])), tokenizer
        tokenizer = self._tokenizer or load_tokenizer(source)
        return read_text(data, given, text_model(config, tokenizer, [kind.__name__])), tokenizer
