"""``hf`` of a safetensors folder: the same folder, quantized weights in place of the old ones."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._C import list_model_files, option, write_safetensors
from ..errors import Error, first_line
from .hf_saved import own_folder, stale_weights
from .quantized import Prepared, QuantizedModel
from .read_back import expect_bytes, expect_names, expect_same, reading


class FolderWriter:
    """Keeps the source's shards, names, dtypes and metadata, but that of an earlier run of ours; copies every
    other file."""

    def __init__(self, model: Any, source: str) -> None:
        self._model, self._source = model, Path(source)
        self._shards = [path.name for path in sorted(self._source.glob("*.safetensors"))]
        self._copies, weights = list_model_files(source)
        self._left_out = [file for file in weights if file not in self._shards]

    def prepare(self, model: QuantizedModel) -> Prepared:
        """Objections: the source's own folder, older weights there, weights without a place in the source."""
        prepared = Prepared(
            files=[*self._shards, *self._copies], write=self._write, read_back=self._read_back
        )
        if self._left_out:
            prepared.notes = [f"hf leaves out the folder's other weights: {', '.join(self._left_out)}"]
        prepared.objections = own_folder(model.folder, str(self._source))
        if prepared.objections:
            return prepared
        prepared.objections = stale_weights(model.folder, prepared.files)
        lost = SourceNames(self._model, self._stored_names()).lost(model.changed)
        if lost:
            prepared.objections.append(
                f"hf: no tensor of {self._source} holds {', '.join(lost[:5])}; "
                f"use {option('formats', 'safetensors')}"
            )
        return prepared

    def _write(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        from safetensors import SafetensorError

        changed = self._changed(model)
        try:
            places = {name: path(name) for name in (*self._shards, *self._copies)}
            for name in self._copies:
                shutil.copyfile(self._source / name, places[name])
            for shard in self._shards:
                _rewrite(self._source / shard, places[shard], changed)
        except (OSError, SafetensorError) as error:  # a shard of the source that cannot be read
            raise Error(f"{model.folder}: hf: cannot be written: {first_line(error)}") from error

    def _read_back(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        changed = self._changed(model)
        for shard in self._shards:
            with reading(path(shard)):
                _compare(self._source / shard, path(shard), changed)
        for name in self._copies:
            expect_bytes(path(name), (self._source / name).read_bytes())

    def _changed(self, model: QuantizedModel) -> dict[str, Callable[[], Tensor]]:
        """The new values of tensors of the source, by their names there. Only those that the source holds in
        other pieces are made now."""
        source = SourceNames(self._model, self._stored_names())
        whole = source.whole()
        makers: dict[str, Callable[[], Tensor]] = {}
        in_pieces: dict[str, Tensor] = {}
        for names, make in model.changed_values():
            stored = [whole[name] for name in names if name in whole]
            makers |= dict.fromkeys(stored, make)
            if not stored:
                in_pieces |= dict.fromkeys(names, make())
        renamed = source.rename(in_pieces) if in_pieces else {}
        return makers | {name: partial(Tensor.detach, tensor) for name, tensor in renamed.items()}

    def stored_names(self) -> dict[str, str]:
        """Each parameter that the folder holds as one tensor of its shape -> the folder's name for it."""
        return SourceNames(self._model, self._stored_names()).whole()

    def _stored_names(self) -> set[str]:
        return {name for shard in self._shards for name in _names_in(self._source / shard)}


class SourceNames:
    """A model's tensors under the names, and in the pieces, of its files: transformers' own reversal."""

    def __init__(self, model: Any, stored: set[str]) -> None:
        self._model, self._stored = model, stored

    def lost(self, names: list[list[str]]) -> list[str]:
        """Pieces that are missing in the files; of names tied together one is enough."""
        stored_twins = {
            name for tied in names if any(self._stored_name(twin) for twin in tied) for name in tied
        }
        touched = self._touched({name for tied in names for name in tied})
        return sorted(name for name in touched - stored_twins if self._stored_name(name) is None)

    def rename(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """``values`` by stored name, without tensors that are missing in the files (tied names)."""
        renamed: dict[str, Tensor] = {}
        touched = self._touched(set(values))
        for name, tensor in self._reverse({**self._state(), **values}).items():
            stored = self._stored_name(name)
            if name in touched and stored is not None:
                renamed[stored] = tensor
        return renamed

    def whole(self) -> dict[str, str]:
        """Each parameter that the files hold as one tensor of its shape -> the files' name for it."""
        marks = {name: torch.empty(tensor.shape, device="meta") for name, tensor in self._state().items()}
        originals = {id(mark): name for name, mark in marks.items()}
        return {
            originals[id(mark)]: stored
            for name, mark in self._reverse(dict(marks)).items()
            if id(mark) in originals and (stored := self._stored_name(name)) is not None
        }

    def _touched(self, names: set[str]) -> set[str]:
        """The reversed names that hold elements of ``names``: elements are marked and followed."""
        marks = {
            name: torch.tensor(name in names).expand(tensor.shape) for name, tensor in self._state().items()
        }
        return {
            name
            for name, mark in self._reverse(dict(marks)).items()
            if (name in names if mark is marks.get(name) else bool(mark.any()))
        }

    def _reverse(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        from transformers.core_model_loading import revert_weight_conversion

        return dict(revert_weight_conversion(self._model, state))

    def _state(self) -> dict[str, Tensor]:
        return dict(self._model.state_dict())

    def _stored_name(self, name: str) -> str | None:
        """A base model's files may lack or have the prefix that the files of a model with a head have."""
        prefix = f"{self._model.base_model_prefix}."
        for candidate in (name, prefix + name, name.removeprefix(prefix)):
            if candidate in self._stored:
                return candidate
        return None


def _names_in(path: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as shard:
        return list(shard.keys())


def _rewrite(source: Path, target: str, changed: dict[str, Callable[[], Tensor]]) -> None:
    """One tensor after the other, in the package's order, which keeps each aligned."""
    from safetensors import safe_open

    with safe_open(source, "pt") as shard:
        metadata = _metadata_to_keep(shard)
        tensors = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118  not a dict

    def made(name: str) -> Tensor:
        old = tensors[name]
        if name not in changed:
            return old
        new = changed[name]()
        if old.shape != new.shape:
            raise Error(f"hf: {name} is {tuple(old.shape)} in {source}, but {tuple(new.shape)} in the model")
        return new.to(old.dtype)

    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    write_safetensors(target, [(name, tensors[name], partial(made, name)) for name in order], metadata)


def _metadata_to_keep(shard: Any) -> dict[str, str]:
    """All but an earlier run's, which tells of other weights.

    The bytes are the same each time for one entry alone: the package writes several in random order.
    """
    stored = (shard.metadata() or {}).items()
    return {key: value for key, value in stored if not key.startswith("adascale.")}


def _compare(source: Path, written: str, changed: dict[str, Callable[[], Tensor]]) -> None:
    from safetensors import safe_open

    with safe_open(source, "pt") as shard, safe_open(written, "pt") as file:
        expect_names(written, set(file.keys()), set(shard.keys()))
        if (file.metadata() or {}) != _metadata_to_keep(shard):
            raise Error(f"{written}: got other metadata than was written")
        for name in file.keys():  # noqa: SIM118  not a dict
            old = shard.get_tensor(name)
            expected = changed[name]().to(old.dtype) if name in changed else old
            expect_same(written, name, file.get_tensor(name), expected)
