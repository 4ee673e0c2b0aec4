"""What a format written in Python gets, the simulated model as C++ describes it, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Encoding:
    """Integer codes of a weight: ``x = scale * (code + offset)``, computed in fp32."""

    codes: Tensor  # the weight's shape; signed if symmetric, unsigned (or wider) if not
    scale: Tensor  # fp32, one element per range; grouped: a dimension of size 1 follows that of the groups
    offset: Tensor  # int32 <= 0, the shape of ``scale``


@dataclass(frozen=True)
class Weight:
    """A quantized parameter and its grid (C++'s ``quant/grid.h``)."""

    names: list[str]  # of tied parameters together; files use the first
    layer: str
    shape: list[int]
    dtype: torch.dtype
    bits: int
    symmetric: bool
    scaled_axes: list[int]  # axes with scales of their own; none: one scale for the tensor
    group_axis: int  # -1: no groups
    group_size: int
    is_affine: bool  # False: its form has more than the codes, scale and offset of ``Encoding``
    index: int

    @property
    def name(self) -> str:
        return self.names[0]


@dataclass(frozen=True)
class Activation:
    """The quantizer of a value of the program; no scale until compute_encodings, or if turned off."""

    value: str  # its name in the program
    bits: int
    symmetric: bool
    qmin: int
    qmax: int
    scale: float | None
    offset: int | None


@dataclass(frozen=True)
class QuantizedModel:
    """A model with its present quantizers; its functions only work during the format's call."""

    folder: str
    prefix: str
    target: str  # the part after the format's name, or nothing
    weights: list[Weight]
    activations: list[Activation]
    outputs: list[str | None]  # the program's names of its flat outputs; None: not a tensor
    texts: list[
        str
    ]  # names of files that the run writes itself, its report and model card: copy none of them
    metadata: dict[str, str]  # the tool's version, scheme, recipe, seed and grids, each under "adascale."
    # JSON of torch's export schema; a fake_quantize follows each activation, its index as zero_point.
    graph: Callable[[], bytes]
    # Parameters, buffers and constants by all names: the model's own, or quantized weights on their grid.
    given_tensors: Callable[[], dict[str, Tensor]]
    tensors: Callable[[], dict[str, Tensor]]
    encode: Callable[[int], Encoding]  # of the weight with that index
    changed: list[list[str]]  # names of the tensors that differ from the model's, tied ones together
    # The same with functions that make their values: those of a large model do not fit in memory together.
    changed_values: Callable[[], list[tuple[list[str], Callable[[], Tensor]]]]


# Of the model and of the place of each file, by its name in the folder.
WithPlaces = Callable[[QuantizedModel, Callable[[str], str]], None]


@dataclass
class Prepared:
    """A format's answer for one model: C++'s ``PreparedFormat``."""

    objections: list[str] = field(default_factory=list)  # what it cannot hold of this model
    notes: list[str] = field(default_factory=list)  # for the user, about the files, one per line
    files: list[str] = field(default_factory=list)  # their names in the folder
    # Writes each file of the folder to ``path(its name)``, once the model is decided; later all of them
    # appear or none. What preparing found may be kept in it.
    write: WithPlaces | None = None
    # Reads each file again where it lies, before it gets its name; raises Error where it does not hold the
    # model (``read_back``). An answer without objections has both.
    read_back: WithPlaces | None = None


class Format(Protocol):
    """An export format, a row of C++'s table."""

    name: str
    description: str
    files: list[str]  # for ``adascale list formats``
    how_to_load: str  # what a reader types in the folder: "onnxruntime.InferenceSession('PREFIX.onnx')"
    targets: list[str]  # possible parts after the name: "onnx-matmulnbits:int8"
    packages: tuple[str, ...]  # by their names on PyPI, without which it does not write
    packs_codes: bool  # its files hold codes; else numbers of the model's dtype, as many bytes as before
    widths: list[int]  # bits that its files store as they are, in one layer or another; empty: any
    holds_activations: bool  # it needs compute_encodings where there are activation quantizers
    holds_signed_scales: bool  # it, and what reads it, takes negative scales of symmetric grids

    def prepare(self, model: QuantizedModel) -> Prepared:
        """Looks at the model before any training. Writes nothing."""
