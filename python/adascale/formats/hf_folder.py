"""``hf`` of a safetensors folder: the same folder, quantized weights in place of the old ones."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .._C import Pass, list_model_files, option, write_safetensors
from ..errors import Error
from .file_errors import copy_file, reading
from .hf_saved import own_folder, stale_weights
from .quantized import Prepared, QuantizedModel
from .read_back import expect_bytes, expect_names, expect_same


class FolderWriter:
    """Keeps the source's shards, names, dtypes and metadata, but that of an earlier run of ours; copies every
    other file."""

    def __init__(self, model: Any, source: str) -> None:
        self._model, self._source = model, Path(source)
        self._shards = [path.name for path in sorted(self._source.glob("*.safetensors"))]
        self._companions, weights = list_model_files(source)
        self._left_out = [file for file in weights if file not in self._shards]

    def prepare(self, model: QuantizedModel) -> Prepared:
        """Objections: the source's own folder, older weights there, weights without a place in the source."""
        prepared = Prepared(
            files=[*self._shards, *self._copies(model)], write=self._write, read_back=self._read_back
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
        changed = self._changed(model)
        places = {name: path(name) for name in (*self._shards, *self._copies(model))}
        for name in self._copies(model):
            copy_file(self._source / name, places[name])
        sources = {}
        for shard in self._shards:
            with reading(str(self._source / shard)):
                sources[shard] = _open(self._source / shard)
        for shard, (tensors, metadata) in sources.items():
            _rewrite(self._source / shard, places[shard], tensors, _to_keep(metadata), changed)

    def _read_back(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        changed = self._changed(model)
        for shard in self._shards:
            _compare(self._source / shard, path(shard), changed)
        for name in self._copies(model):
            expect_bytes(path(name), (self._source / name).read_bytes())

    def _copies(self, model: QuantizedModel) -> list[str]:
        """The source's other files, but those that the run writes itself."""
        return [name for name in self._companions if name not in model.texts]

    def _changed(self, model: QuantizedModel) -> dict[str, Callable[[], Tensor]]:
        """The new values of tensors of the source, by their names there; each is made when it is called."""
        source = SourceNames(self._model, self._stored_names())
        whole = source.whole()
        makers: dict[str, Callable[[], Tensor]] = {}
        in_pieces: list[dict[str, Callable[[], Tensor]]] = []
        for names, make in model.changed_values():
            stored = [whole[name] for name in names if name in whole]
            makers |= dict.fromkeys(stored, make)
            if not stored:
                in_pieces.append(dict.fromkeys(names, make))
        return makers | Pieces(source, in_pieces).makers()

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

    def pieces(self, names: set[str]) -> set[str]:
        """The stored tensors that hold elements of ``names``, without those missing in the files (tied)."""
        return {stored for name in self._touched(names) if (stored := self._stored_name(name)) is not None}

    def split(self, values: dict[str, Tensor], pieces: set[str]) -> dict[str, Tensor]:
        """``values`` in these pieces, which may hold elements of other tensors of the model, too."""
        split = self._by_stored_name(values)
        if not pieces <= split.keys():
            split = self._by_stored_name({**self._state(), **values})
        return {piece: split[piece] for piece in pieces}

    def _by_stored_name(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        named = {self._stored_name(name): tensor for name, tensor in self._reverse(dict(values)).items()}
        return {stored: tensor for stored, tensor in named.items() if stored is not None}

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


class Pieces:
    """The new values of parameters that files hold in pieces, such as the matrices of a layer's experts.

    A parameter is made when one of its pieces is asked for. The last two stay: the experts of a layer are two
    parameters, and in a shard their pieces lie among each other.
    """

    _KEPT = 2

    def __init__(self, source: SourceNames, parameters: list[dict[str, Callable[[], Tensor]]]) -> None:
        self._source = source
        self._groups: list[tuple[set[str], dict[str, Callable[[], Tensor]]]] = []
        for makers in parameters:
            pieces, together = source.pieces(set(makers)), dict(makers)
            for shared in [group for group in self._groups if group[0] & pieces]:
                self._groups.remove(shared)
                pieces, together = pieces | shared[0], together | shared[1]
            self._groups.append((pieces, together))
        self._recent: dict[int, dict[str, Tensor]] = {}

    def makers(self) -> dict[str, Callable[[], Tensor]]:
        """By stored name."""
        return {
            piece: partial(self._make, number, piece)
            for number, (pieces, _) in enumerate(self._groups)
            for piece in pieces
        }

    def _make(self, number: int, piece: str) -> Tensor:
        if number not in self._recent:
            while len(self._recent) >= self._KEPT:
                del self._recent[next(iter(self._recent))]
            pieces, makers = self._groups[number]
            made = {make: make() for make in makers.values()}  # tied names share theirs
            values = {name: made[make] for name, make in makers.items()}
            self._recent[number] = self._source.split(values, pieces)
        return self._recent[number][piece]


def _names_in(path: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as shard:
        return list(shard.keys())


def _rewrite(
    source: Path,
    target: str,
    tensors: dict[str, Tensor],
    metadata: dict[str, str],
    changed: dict[str, Callable[[], Tensor]],
) -> None:
    """One tensor after the other, in the package's order, which keeps each aligned."""

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


def _open(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, mapped, and the metadata."""
    from safetensors import safe_open

    with safe_open(path, "pt") as shard:
        tensors = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118  not a dict
        return tensors, shard.metadata() or {}


def _to_keep(metadata: dict[str, str]) -> dict[str, str]:
    """All but an earlier run's, which tells of other weights.

    The bytes are the same each time for one entry alone: the package writes several in random order.
    """
    return {key: value for key, value in metadata.items() if not key.startswith("adascale.")}


def _compare(source: Path, written: str, changed: dict[str, Callable[[], Tensor]]) -> None:
    old, metadata = _open(source)
    with reading(written):
        got, got_metadata = _open(written)
    expect_names(written, set(got), set(old))
    if got_metadata != _to_keep(metadata):
        raise Error(f"{written}: got other metadata than was written")
    progress = Pass.reading_back(written, len(got))
    for name, tensor in got.items():
        expected = changed[name]().to(old[name].dtype) if name in changed else old[name]
        expect_same(written, name, tensor, expected)
        progress.step()
