"""Simulates a model that cannot be exported whole: the live model, with its blocks run by C++ one by one."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import nn

from . import _C
from .capture import Capture
from .errors import Error
from .live_parts import SimulatedParts, find_parts
from .live_runs import LiveRuns
from .progress import ShowProgress
from .signature import Call

log = logging.getLogger("adascale")


class LiveSim:
    """Takes the place of :class:`_C.Sim` for a live model whose blocks were captured separately. Python runs
    the model; all else is C++'s (``_C.PartedModel``).

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
        found = find_parts(model, example, refusal, patterns)
        self._device, self._float_model = found.device, found.float_model
        self._cores = [(self._on_device(make_core(block)), path) for path, block in found.captured.items()]
        self.parts = _C.PartedModel(self._cores, refusal, found.left_out, found.places)
        self._simulated = SimulatedParts(found, [core for core, _ in self._cores], self.parts)
        self.blocks, self.model = self._simulated.blocks, self._simulated.model
        count = f"{len(self.blocks)} of {len(self.blocks) + len(found.left_out)} blocks"
        log.warning("%s; simulated block by block: %s, all else runs live in full precision", refusal, count)
        for path, reason in found.left_out:
            log.warning("%s: stays in full precision: %s", path, reason)

    def _on_device(self, core: _C.Sim) -> _C.Sim:
        if torch.device(core.device) != self._device:
            raise Error(
                f"{_C.option('device')}: got {core.device}, but a model simulated block by block runs where "
                f"it is, on {self._device}; leave it out, or move the model with model.to(...)"
            )
        return core

    @property
    def device(self) -> str:
        """The device of the model."""
        return str(self._device)

    def cores(self) -> list[tuple[_C.Sim, str]]:
        """The simulations of the blocks, with their paths."""
        return self._cores

    def apply_adascale(
        self, batches: list[Call], options: _C.AdaScaleOptions, progress: ShowProgress | None
    ) -> _C.AdaScaleReport:
        """Trains block after block on its inputs in the FP model and in the one quantized so far."""
        runs = LiveRuns(self._simulated, batches)
        return self.parts.apply_adascale(runs, len(batches), options, progress)

    def begin_calibration(self) -> None:
        self.parts.begin_calibration()

    def end_calibration(self) -> None:
        self.parts.end_calibration()

    def abort_calibration(self) -> None:
        self.parts.abort_calibration()

    def show_folded_weights(self) -> None:
        """Shows the blocks' present weights in ``sim.model``."""
        self._simulated.show_folded_weights()

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
        return self.parts.export(self._simulated.state(), folder, prefix, formats, encoding_version)
