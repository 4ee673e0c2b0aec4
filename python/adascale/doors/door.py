"""The interface of a door: C++'s ``run/door.h`` in Python's words."""

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from ..formats.quantized import Prepared, QuantizedModel


@dataclass(frozen=True)
class DataRequest:
    """The data for which a model is opened, as the options say; no files: none, or data given in memory."""

    files: list[str]
    samples: int | None = None
    seq_len: int | None = None
    packing: str = "auto"
    data_weights: list[float] = field(default_factory=list)
    seed: int = 0


class Writer(Protocol):
    """The format ``hf`` of the opened model: how the library that opened it saves it."""

    def prepare(self, model: QuantizedModel) -> Prepared:
        """As :meth:`adascale.formats.Format.prepare`."""


@dataclass
class OpenedModel:
    """A captured model and its data; ``samples`` by the graph's input names, along dimension 0."""

    graph: bytes
    tensors: dict[str, Tensor]
    stem: str
    samples: dict[str, Tensor]
    writer: Writer | None = None
    notes: list[str] = field(default_factory=list)  # for the user, one per line
    source: str = ""  # the folder or .gguf it was read from
    stored_names: dict[str, str] = field(default_factory=dict)  # a parameter -> its tensor there
    is_from_file: bool = False  # read from a file: its tensors are then on the CPU whatever is wanted
    is_shared: bool = False  # the tensors are the caller's and stay unchanged


class Door(Protocol):
    """A kind of MODEL. Its texts appear in ``--help``."""

    name: str
    description: str
    data: str
    formats: list[str]

    def matches(self, model: str) -> bool:
        """Whether the path or name is of this kind; opens nothing."""

    def open(self, model: str, data: DataRequest) -> OpenedModel:
        """Opens the model with its data. Raises :class:`adascale.Error`."""
