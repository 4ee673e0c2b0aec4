"""Simulates a model that cannot be exported whole: the live model, with its blocks run by C++ one by one."""

import logging
from collections.abc import Callable, Sequence

from torch import nn

from . import _C
from .capture import Capture
from .live_parts import SimulatedParts, find_parts
from .live_runs import LiveRuns
from .progress import ShowProgress
from .signature import Call

log = logging.getLogger("adascale")


class LiveSim(SimulatedParts):
    """Takes the place of :class:`_C.Sim` for a live model whose blocks were captured separately. Python runs
    the model; all else is C++'s, in ``parts``.

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
        sims = []
        for block in found.captured.values():
            sims.append(make_core(block))
            _C.check_device_of_parts(sims[0].device, str(found.device))
        self.cores = list(zip(sims, found.captured, strict=True))
        self.parts = _C.PartedModel(self.cores, refusal, found.left_out, found.places)
        super().__init__(found, sims, self.parts)
        count = f"{len(self.blocks)} of {len(self.blocks) + len(found.left_out)} blocks"
        log.warning("%s; simulated block by block: %s, all else runs live in full precision", refusal, count)
        for path, reason in found.left_out:
            log.warning("%s: stays in full precision: %s", path, reason)

    def apply_adascale(
        self, batches: list[Call], options: _C.AdaScaleOptions, progress: ShowProgress | None
    ) -> _C.AdaScaleReport:
        """Trains block after block on its inputs in the FP model and in the one quantized so far."""
        return self.parts.apply_adascale(LiveRuns(self, batches), len(batches), options, progress)

    def export(self, folder: str, prefix: str, formats: list[str], encoding_version: str) -> list[str]:
        """Writes the files that do not need a whole program."""
        return self.parts.export(self.state(), folder, prefix, formats, encoding_version)
