"""Simulates a model that cannot be exported whole: the live model, with its blocks run by C++ one by one."""

import logging
from collections.abc import Callable, Sequence
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from . import _C
from .capture import Capture, capture_module
from .devices import device_of, moved, snapshot
from .errors import Error, first_line
from .live_blocks import LiveBlock, find_live_blocks, run_live
from .live_runs import LiveRuns
from .progress import ShowProgress
from .shared_weights import SharedWeights
from .signature import Call
from .simulated_model import StopForward, follow_names
from .twin import places_of, twin_of

log = logging.getLogger("adascale")


class LiveSim:
    """Takes the place of :class:`_C.Sim` for a live model whose blocks were captured separately: finds the
    blocks and runs the model. All else is C++'s (``_C.PartedModel``).

    refusal: why the model cannot be exported whole; shown.
    make_core: the simulation of one captured block.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Call,
        refusal: str,
        make_core: Callable[[Capture], _C.Sim],
        patterns: Sequence[str] | None = None,
    ) -> None:
        self._device = device_of(model)
        self._float_model = twin_of(model)
        places = places_of(self._float_model)  # before the model runs and writes to some, e.g. a counter
        found = self._find(moved(example, self._device), refusal, patterns)
        self.blocks: list[LiveBlock] = []
        left_out: list[tuple[str, str]] = []  # blocks that cannot be exported either, with the reason
        for path, call in found.items():
            reason = self._add_block(path, call, make_core)
            if reason:
                left_out.append((path, reason))
        if not self.blocks:
            first = ": ".join(left_out[0])
            raise Error(f"{refusal}; nor does any of its {len(found)} blocks export alone: {first}")
        self.parts = _C.PartedModel(self.cores(), refusal, left_out, places)
        self.model = _simulated(twin_of(model), self.blocks, self.parts, self._device)
        self.show_folded_weights()  # batch norms were folded
        count = f"{len(self.blocks)} of {len(found)} blocks, all else runs live in full precision"
        log.warning("%s; simulated block by block: %s", refusal, count)
        for path, reason in left_out:
            log.warning("%s: stays in full precision: %s", path, reason)

    def _find(self, example: Call, refusal: str, patterns: Sequence[str] | None) -> dict[str, Call]:
        try:
            found = find_live_blocks(self._float_model, example, patterns)
        except Error:
            raise
        except Exception as error:  # boundary: the model itself fails on the example
            raise Error(f"{refusal}; nor does it run as it is: {first_line(error)}") from error
        if not found:
            raise Error(
                f"{refusal}; nor are there blocks to capture alone: no two modules of one class with two "
                "layers each are called in a row; name them with blocks="
            )
        return found

    def _add_block(self, path: str, call: Call, make_core: Callable[[Capture], _C.Sim]) -> str:
        """The reason why the block stays live, or nothing."""
        try:
            captured = capture_module(self._float_model, path, call)
        except Error as error:
            return str(error)
        block = LiveBlock(path, make_core(captured), captured)
        if torch.device(block.core.device) != self._device:
            raise Error(
                f"device: got {block.core.device}, but a model simulated block by block runs where it is, on "
                f"{self._device}; leave device out, or move the model with model.to(...)"
            )
        try:
            live = run_live(self._float_model.get_submodule(path), call)
            difference = block.core.difference_to_live(block.flatten(call), live)
        except Error as error:
            return str(error)
        if difference:
            return f"captured alone it computes something else: {difference}"
        self.blocks.append(block)
        return ""

    @property
    def device(self) -> str:
        """The device of the model."""
        return str(self._device)

    def cores(self) -> list[tuple[_C.Sim, str]]:
        """The simulations of the blocks, with their paths."""
        return [(block.core, block.path) for block in self.blocks]

    def apply_adascale(
        self, batches: list[Call], options: _C.AdaScaleOptions, progress: ShowProgress | None
    ) -> _C.AdaScaleReport:
        """Trains block after block on its inputs in the FP model and in the one quantized so far."""
        models = self._float_model, self.model
        runs = LiveRuns(models, self.blocks, batches, self._device, self.show_folded_weights)
        return self.parts.apply_adascale(runs, len(batches), options, progress)

    def begin_calibration(self) -> None:
        self.parts.begin_calibration()

    def end_calibration(self) -> None:
        self.parts.end_calibration()

    def abort_calibration(self) -> None:
        self.parts.abort_calibration()

    def show_folded_weights(self) -> None:
        """Shows the blocks' present weights in ``sim.model``."""
        for core, name in [(block.core, name) for block in self.blocks for name in block.core.state_names()]:
            path, _, leaf = name.rpartition(".")
            place, now = self.model.get_submodule(path), core.state(name)
            shown = place._parameters.get(leaf)
            if shown is not None and shown.data_ptr() != now.data_ptr():
                place._parameters[leaf] = nn.Parameter(now.detach(), requires_grad=False)

    def describe(self) -> str:
        """The blocks with their quantizers, and the modules left in full precision."""
        return self.parts.describe()

    def export(
        self,
        folder: str,
        prefix: str,
        formats: list[str],
        encoding_version: str,
    ) -> list[str]:
        """Writes the files that do not need a whole program."""
        state = list(self.model.state_dict().items())
        return self.parts.export(state, folder, prefix, formats, encoding_version)


def _simulated(
    twin: nn.Module, blocks: list[LiveBlock], parts: _C.PartedModel, device: torch.device
) -> nn.Module:
    """The twin with the blocks' forwards replaced; it refuses changes that would make them wrong."""
    for block in blocks:
        module = twin.get_submodule(block.path)
        module.forward = wraps(module.forward)(partial(LiveBlock.run, block))
        follow_names(twin, set(block.captured.tensors), block.core)
    own = type(twin)

    @wraps(own.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._adascale.recorded is not None:
            self._adascale.recorded.append(snapshot((args, kwargs)))
            raise StopForward
        args, kwargs = moved((args, kwargs), device)
        parts.check_unchanged()
        with torch.no_grad():
            return own.forward(self, *args, **kwargs)

    methods = {"forward": forward, "_adascale_moved_by": ", or move it, then simulate it"}
    twin.__class__ = type(f"Simulated{own.__name__}", (SharedWeights, own), methods)
    twin._adascale = SimpleNamespace(recorded=None)
    return twin
