"""``hf`` of a transformers model without a safetensors folder."""

import filecmp
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from .._C import Pass
from ..errors import Error
from ..transformers_output import quiet_transformers
from .file_errors import copy_file, reading, writing
from .quantized import Prepared, QuantizedModel
from .read_back import expect_names, expect_same

FILES = ["config.json", "model.safetensors"]


class SavedWriter:
    """Writes the files of ``save_pretrained`` and the tokenizer."""

    def __init__(self, model: Any, tokenizer: Any, source: str | None, origin: str = "") -> None:
        """``source``: the folder of the model, if it has one; ``origin``: the folder with its licence."""
        self._model, self._tokenizer, self._source = model, tokenizer, source
        self._origin, self._licences = origin, licences_in(origin)
        self._texts: dict[str, bytes] = {}  # of the written files but the weights: their digests
        self._shards: list[str] = []

    def prepare(self, model: QuantizedModel) -> Prepared:
        """Objections: the source's own folder, older weights or another licence there."""
        objections = own_folder(model.folder, self._source) or stale_weights(model.folder, FILES)
        objections += self._other_licences(model.folder) + _packed(self._model)
        return Prepared(
            objections, files=[*FILES, *self._licences], write=self._write, read_back=self._read_back
        )

    def _other_licences(self, folder: str) -> list[str]:
        places = [(name, os.path.join(folder, name)) for name in self._licences]
        return [
            f"{place}: is not the original's and would be overwritten; give another folder"
            for name, place in places
            if os.path.exists(place)
            and not filecmp.cmp(place, os.path.join(self._origin, name), shallow=False)
        ]

    def _write(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        from safetensors import SafetensorError

        state = self._state(model)
        first = path("config.json")
        with tempfile.TemporaryDirectory(dir=os.path.dirname(first), prefix=".adascale-") as aside:
            with writing(model.folder, SafetensorError), quiet_transformers():
                self._model.save_pretrained(aside, state_dict=state)
                if self._tokenizer is not None:
                    self._tokenizer.save_pretrained(aside)
            for name in self._licences:
                copy_file(Path(self._origin, name), os.path.join(aside, name))
            names = sorted(os.listdir(aside))
            self._shards = [name for name in names if name.endswith(".safetensors")]
            self._texts = {n: _digest(os.path.join(aside, n)) for n in names if n not in self._shards}
            for name in self._shards:  # the package makes files for the owner alone
                shutil.copymode(os.path.join(aside, "config.json"), os.path.join(aside, name))
            for name in names:
                os.replace(os.path.join(aside, name), first if name == "config.json" else path(name))

    def _read_back(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        from safetensors import safe_open
        from transformers.core_model_loading import revert_weight_conversion

        expected = dict(revert_weight_conversion(self._model, self._state(model)))
        held: dict[str, str] = {}
        for file in map(path, self._shards):
            with reading(file), safe_open(file, "pt") as shard:
                tensors = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118  not a dict
            progress = Pass.reading_back(file, len(tensors))
            for name, tensor in tensors.items():
                expect_names(file, {name}, {name} & expected.keys())
                expect_same(file, name, tensor, expected[name])
                held[name] = file
                progress.step()
        # Of tied tensors the package writes one.
        kept = {expected[name].data_ptr() for name in held}
        missing = {name for name in expected.keys() - held if expected[name].data_ptr() not in kept}
        expect_names(path(self._shards[0]), set(), missing)
        for name, digest in self._texts.items():
            if _digest(path(name)) != digest:
                raise Error(f"{path(name)}: got other bytes than were written")

    def _state(self, model: QuantizedModel) -> dict[str, Tensor]:
        """What is given to be saved."""
        state = dict(self._model.state_dict())
        for names, make in model.changed_values():
            state.update(dict.fromkeys(names, make()))
        for name in self._model._keys_to_ignore_on_save or ():
            state.pop(name, None)
        return state


def _packed(model: Any) -> list[str]:
    """An objection to a model that ``save_pretrained`` would refuse, which is after training."""
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is None or quantizer.is_serializable():
        return []
    kind = quantizer.quantization_config.quant_method
    return [
        f"hf: {type(model).__name__} is quantized already ({getattr(kind, 'value', kind)}), and transformers "
        "does not save such a model; load it in full precision (of a GGUF: give its path instead)"
    ]


def licences_in(folder: str) -> list[str]:
    """Names of the files that a licence asks to be passed on with the model."""
    if not folder or not os.path.isdir(folder):
        return []
    known = ("licen", "notice", "copying", "use_policy")
    return sorted(
        name
        for name in os.listdir(folder)
        if name.lower().startswith(known) and os.path.isfile(os.path.join(folder, name))
    )


def _digest(path: str) -> bytes:
    return hashlib.blake2b(Path(path).read_bytes()).digest()


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
