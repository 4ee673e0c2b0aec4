"""The interface of a door: C++'s ``run/door.h`` in Python's words."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from .. import _C
from ..errors import Error
from ..formats.quantized import Prepared, QuantizedModel
from ..live_runs import LiveRuns
from .card_source import CardSource


@dataclass(frozen=True)
class DataRequest:
    """The data for which a model is opened, as the options say; no files: none, or data given in memory."""

    files: list[str]
    samples: int | None = None
    seq_len: int | None = None
    packing: str = "auto"
    data_weights: list[float] = field(default_factory=list)
    seed: int = 0
    batch_size: int | None = None
    # For a model that is opened in parts: where it is to run, and globs over its modules instead of the rule.
    device: str = "auto"
    blocks: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """``a.txt, b.txt``, for messages."""
        return ", ".join(self.files) or "data"

    def refuse_text_options(self, why: str) -> None:
        """Errors for options of text that are given; ``why``: the data takes none."""
        given = {
            "seq_len": self.seq_len is not None,
            "packing": self.packing != "auto",
            "data_weights": bool(self.data_weights),
        }
        wrong = [_C.option(name) for name, is_given in given.items() if is_given]
        if wrong:
            raise Error(f"{', '.join(wrong)}: {why}")


class Writer(Protocol):
    """The format ``hf`` of the opened model: how the library that opened it saves it."""

    def prepare(self, model: QuantizedModel) -> Prepared:
        """As :meth:`adascale.formats.Format.prepare`."""


class OpenedParts(Protocol):
    """A model without a program of the whole: C++'s ``run/opened_parts.h``."""

    @property
    def parts(self) -> list[tuple[str, bytes, dict[str, Tensor]]]:
        """Path, graph and tensors of each module captured, in the order of their calls."""

    @property
    def not_captured(self) -> list[tuple[str, str]]:
        """Modules that are no part, with the reason."""

    @property
    def idle(self) -> list[str]:
        """Modules of several layers that the data does not reach, nor any module in them."""

    @property
    def places(self) -> list[_C.PlacedTensor]:
        """As :func:`adascale.twin.places_of` gives them."""

    refusal: str
    device: str
    batches: int
    samples: int
    batch_size: int  # 0: each batch is as it was given
    first_batch: list[Tensor]

    def start(self, sims: list[_C.Sim], parts: _C.PartedModel) -> LiveRuns:
        """Runs the model with these simulations of the parts."""


@dataclass
class OpenedModel:
    """A captured model and its data; ``samples`` by the graph's input names, along dimension 0.

    A model in parts has only these: no graph and tensors, and its samples are in them.
    """

    stem: str
    graph: bytes = b""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    samples: dict[str, Tensor] = field(default_factory=dict)
    parts: OpenedParts | None = None
    writer: Writer | None = None
    notes: list[str] = field(default_factory=list)  # for the user, one per line
    decode: Callable[[list[int]], str] | None = None  # tokens as text; None: there is no tokenizer
    card: CardSource = field(default_factory=CardSource)
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
