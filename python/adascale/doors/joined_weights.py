"""Weights that transformers makes while it loads a folder: it joins the matrices of experts, say."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from .. import _C

log = logging.getLogger("adascale")


@contextmanager
def joined_weights_in_a_file() -> Iterator[None]:
    """Within it what ``from_pretrained`` makes of stored tensors goes to an unnamed temporary file, as the
    stored ones stay in theirs: a copy of all experts would fill the memory. What the disk has no room for
    stays in memory, and the log says so.
    """
    try:
        from transformers.core_model_loading import WeightConverter
    except ImportError:  # a version that joins nothing
        yield
        return
    convert, files = WeightConverter.convert, Files()

    def convert_to_file(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = convert(self, *args, **kwargs)
        if not isinstance(made, dict):  # another version's
            return made
        for name in list(made):  # one's memory goes before the next is copied
            values = made.pop(name)
            made[name] = files.keep(values[0] if isinstance(values, list) else values)
        return made

    WeightConverter.convert = convert_to_file
    try:
        yield
    finally:
        WeightConverter.convert = convert


class Files:
    """The temporary file, made for the first tensor."""

    def __init__(self) -> None:
        self._file: _C.ScratchFile | None = None
        self._told = False

    def keep(self, tensor: Tensor) -> Tensor:
        if tensor.device.type != "cpu" or tensor.numel() == 0:
            return tensor
        folder, room = _C.scratch_room()
        if room < 2 * tensor.nbytes:  # others write there too
            if not self._told:
                log.warning("%s has %d MiB free: weights that are joined stay in memory", folder, room >> 20)
            self._told = True
            return tensor
        self._file = self._file or _C.ScratchFile()
        return self._file.copy(tensor.detach().contiguous())
