"""Opens in parts a model that ``torch.export`` refuses as a whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import _C
from .._C import option
from ..errors import Error
from ..live_parts import LiveParts, SimulatedParts, find_parts
from ..live_runs import LiveRuns
from ..signature import BLOCK_WORDS, DATA_WORDS, Call, CallSignature, call_of
from .door import DataRequest
from .text_data import Batches


class LiveModel:
    """What C++ gets of such a model: the parts' graphs now, its runs on the batches later."""

    def __init__(self, found: LiveParts, data: "CutData") -> None:
        self._found, self._calls = found, data.calls
        self.refusal, self.places, self.device = found.refusal, found.places, str(found.device)
        self.parts = [(path, block.graph, block.tensors) for path, block in found.captured.items()]
        self.not_captured, self.idle = found.left_out, found.idle
        self.batches, self.samples, self.batch_size = len(data.calls), data.samples, data.batch_size
        self.first_batch = _tensors_of(data.calls[0])

    def start(self, sims: list[_C.Sim], parts: _C.PartedModel) -> LiveRuns:
        """Runs the model with these simulations of the parts."""
        return LiveRuns(SimulatedParts(self._found, sims, parts, on_demand=True), self._calls)


def open_live(model: nn.Module, batches: Batches, data: DataRequest, refusal: str) -> LiveModel:
    """Captures the model's blocks where it runs on the batch with the most inputs.

    refusal: why there is no program of the whole. Errors: batches without samples or that cannot be cut as
    asked, NaN or infinity, and those of :func:`adascale.live_parts.find_parts`.
    """
    cut = cut_data(batches, data)
    for index, (args, kwargs) in enumerate(cut.calls):
        try:
            CallSignature(model.forward, args, kwargs, DATA_WORDS)
        except TypeError as error:
            raise Error(f"{data.where}: batch {index}: {error}") from error
    example = max(cut.calls, key=lambda call: len(_tensors_of(call)))
    patterns = data.blocks or None
    found = find_parts(model, example, refusal, patterns, BLOCK_WORDS, own_buffers=True, where=data.where)
    return LiveModel(found, cut)


@dataclass(frozen=True)
class CutData:
    """The batches as calls of the model."""

    calls: list[Call]
    samples: int
    batch_size: int  # 0: each batch is as it was given


def cut_data(batches: Batches, data: DataRequest) -> CutData:
    """Cuts each batch into smaller ones, where dimension 0 of all its tensors is samples. Batches are never
    joined: the model may treat them differently."""
    calls = [call_of(batch) for batch in batches.calls]
    where = data.where
    counts = [_count_samples(call) for call in calls]
    if 0 in counts:
        raise Error(f"{where}: batch {counts.index(0)} has no samples along dimension 0")
    _check_finite(calls, where)
    is_cut = not batches.one_by_one and None not in counts
    given = sum(count or 0 for count in counts) if is_cut else len(calls)
    samples = given if data.samples is None else data.samples
    if samples > given:
        raise Error(f"{where}: {given} samples, but {option('samples')} asks for {samples}")
    if not is_cut:
        if data.batch_size is not None:
            raise Error(
                f"{option('batch_size')}: got {data.batch_size}, but the data comes in batches that cannot "
                "be cut into samples along dimension 0; leave it out"
            )
        return CutData(calls[:samples], samples, 0)
    size = data.batch_size or _C.DEFAULT_BATCH_SIZE
    return CutData(list(_pieces(calls, samples, size)), samples, size)


def _pieces(calls: list[Call], samples: int, size: int) -> Iterable[Call]:
    for args, kwargs in calls:
        count = min(_count_samples((args, kwargs)) or 0, samples)
        samples -= count
        for start in range(0, count, size):
            rows = slice(start, min(start + size, count))
            named = {name: value[rows] for name, value in kwargs.items()}
            yield tuple(value[rows] for value in args), named


def _count_samples(call: Call) -> int | None:
    """The first size of its tensors; None: they have different ones."""
    sizes = {tensor.shape[0] if tensor.dim() else None for tensor in _tensors_of(call)}
    return sizes.pop() if len(sizes) == 1 else None


def _tensors_of(call: Call) -> list[Tensor]:
    values: list[Any] = [*call[0], *call[1].values()]
    return [value for value in values if isinstance(value, Tensor)]


def _check_finite(calls: list[Call], where: str) -> None:
    for index, (args, kwargs) in enumerate(calls):
        named = [*((f"argument {i}", value) for i, value in enumerate(args)), *kwargs.items()]
        for name, value in named:
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise Error(f"{where}: batch {index}: '{name}' holds NaN or infinity")
