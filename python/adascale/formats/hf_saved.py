"""``hf`` of a transformers model without a safetensors folder."""

import os
import tempfile
from collections.abc import Callable
from typing import Any

from ..errors import Error, first_line
from ..transformers_output import quiet_transformers
from .quantized import Prepared, QuantizedModel

FILES = ["config.json", "model.safetensors"]


class SavedWriter:
    """Writes the files of ``save_pretrained`` and the tokenizer."""

    def __init__(self, model: Any, tokenizer: Any, source: str | None) -> None:
        """``source``: the folder of the model, if it has one."""
        self._model, self._tokenizer, self._source = model, tokenizer, source

    def prepare(self, model: QuantizedModel) -> Prepared:
        """Objections: the source's own folder, older weights there."""
        objections = own_folder(model.folder, self._source) or stale_weights(model.folder, FILES)
        return Prepared(objections, files=FILES, write=self._write)

    def _write(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        from safetensors import SafetensorError

        state = dict(self._model.state_dict())
        state.update((name, value) for names, value in model.changed_values() for name in names)
        first = path("config.json")
        with tempfile.TemporaryDirectory(dir=os.path.dirname(first), prefix=".adascale-") as aside:
            try:
                with quiet_transformers():
                    self._model.save_pretrained(aside, state_dict=state)
                    if self._tokenizer is not None:
                        self._tokenizer.save_pretrained(aside)
            except (OSError, SafetensorError) as error:  # the package has a full disk as its own error
                raise Error(f"{aside}: cannot be written: {first_line(error)}") from error
            for name in sorted(os.listdir(aside)):
                os.replace(os.path.join(aside, name), first if name == "config.json" else path(name))


def own_folder(folder: str, source: str | None) -> list[str]:
    """An objection to writing into the model's own folder: its config and tokenizer would be replaced."""
    if not (source and os.path.isdir(folder) and os.path.isdir(source) and os.path.samefile(folder, source)):
        return []
    return [f"{folder}: is the model's own folder; choose another folder"]


def stale_weights(folder: str, files: list[str]) -> list[str]:
    """Objections to weights of another run in the folder, which transformers might load instead of ours."""
    if not os.path.isdir(folder):
        return []
    stale = [
        name
        for name in sorted(os.listdir(folder))
        if name not in files
        and (
            name.startswith(("model.safetensors", "model-", "pytorch_model", "adapter_model"))
            or name == "quantize_config.json"  # GPTQ's readers then take the weights for packed ones
        )
    ]
    if not stale:
        return []
    return [f"{folder}: holds {', '.join(stale)} of another model; choose another folder"]
