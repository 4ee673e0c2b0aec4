"""Simulates a model that cannot be exported whole: the live model, with its blocks run by C++ one by one."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from . import _C
from .capture import Capture
from .devices import device_of, moved, snapshot
from .errors import Error, first_line
from .live_blocks import LiveBlock, capture_block, copied, find_live_blocks, largest_difference
from .live_export import export_live
from .live_plan import LivePlan
from .live_streams import LiveStreams
from .live_ties import check_ties
from .signature import Call
from .simulated_model import StopForward, follow_names
from .twin import FixedModule, SharedTensors, twin_of

log = logging.getLogger("adascale")

Progress = Callable[[str, int, int, float | None], None]


@dataclass
class _Recording:
    """Stores the calls of the simulated model while they are recorded."""

    recorded: list[Call] | None = None


class LiveSim:
    """Takes the place of :class:`_C.Sim` for a live model whose blocks were captured separately.

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
        self._refusal = refusal
        self._device = device_of(model)
        example = moved(example, self._device)
        self._float_model = twin_of(model)
        self._shared = SharedTensors(self._float_model)
        found = self._find(example, patterns)
        self._shared.forget_changed()
        if not found:
            raise Error(
                f"{refusal}; nor are there blocks to capture alone: no two modules of one class with two "
                "layers each are called in a row; name them with blocks="
            )
        self.blocks: list[LiveBlock] = []
        self.left_out: dict[str, str] = {}  # blocks that cannot be exported either, with the reason
        for path, call in found.items():
            self._add_block(path, call, make_core)
        if not self.blocks:
            path, reason = next(iter(self.left_out.items()))
            raise Error(f"{refusal}; nor does any of its {len(found)} blocks export alone: {path}: {reason}")
        check_ties(self._float_model, self.blocks)
        self._shared.forget({name for block in self.blocks for name in block.captured.tensors})
        self.model = _simulated(twin_of(model), self.blocks, self._shared, self._device)
        self.show_folded_weights()  # batch norms were folded
        log.warning(
            "%s; simulated block by block: %d of %d blocks, all else runs live in full precision",
            refusal,
            len(self.blocks),
            len(found),
        )
        for path, reason in self.left_out.items():
            log.warning("%s: stays in full precision: %s", path, reason)

    def _find(self, example: Call, patterns: Sequence[str] | None) -> dict[str, Call]:
        try:
            return find_live_blocks(self._float_model, example, patterns)
        except Error:
            raise
        except Exception as error:  # boundary: the model itself fails on the example
            text = f"{self._refusal}; nor does it run as it is: {first_line(error)}"
            raise Error(text) from error

    def _add_block(self, path: str, call: Call, make_core: Callable[[Capture], _C.Sim]) -> None:
        try:
            captured = capture_block(self._float_model, path, call)
        except Error as error:
            self.left_out[path] = str(error)
            return
        block = LiveBlock(path, make_core(captured), captured)
        if torch.device(block.core.device) != self._device:
            raise Error(
                f"device: got {block.core.device}, but a model simulated block by block runs where it is, on "
                f"{self._device}; leave device out, or move the model with model.to(...)"
            )
        reason = self._difference(block, call)
        if reason:
            self.left_out[path] = reason
        else:
            self.blocks.append(block)

    def _difference(self, block: LiveBlock, call: Call) -> str:
        """Empty when the captured block computes the same as the live one."""
        args, kwargs = copied(call)  # the block may write to its inputs
        with torch.no_grad():
            expected = self._float_model.get_submodule(block.path)(*args, **kwargs)
        try:
            got = block.core.call_float(block.flatten(copied(call)))
        except Error as error:
            return str(error)
        difference = largest_difference(got, pytree.tree_leaves(expected))
        return f"captured alone it computes something else: {difference}" if difference else ""

    @property
    def device(self) -> str:
        """The device of the model."""
        return str(self._device)

    def check_patterns(self, layer_config: Sequence[str]) -> None:
        """Raises for patterns of a layer_config that match nothing in any block."""
        for pattern in layer_config:
            if not any(block.core.has_match(pattern) for block in self.blocks):
                raise Error(
                    f"layer_config: pattern '{pattern}' matches no layer of the {len(self.blocks)} blocks "
                    "captured; what is outside them runs in full precision; print(sim) lists them"
                )

    def apply_adascale(
        self, batches: list[Call], keywords: dict[str, Any], progress: Progress | None
    ) -> _C.AdaScaleReport:
        """Trains block after block on its inputs in the FP model and in the one quantized so far."""
        self._check_state(keywords)
        streams = LiveStreams(self._float_model, self.model, self.blocks, batches, self._device)
        streams.check_memory()
        plan = LivePlan(self.blocks, streams.count_reaching(), keywords)
        idle = [f"{path}: {reason}" for path, reason in self.left_out.items()] + plan.idle
        reports: list[_C.AdaScaleReport] = []
        for index, block in enumerate(self.blocks):
            if block.path not in plan.options:
                continue
            stage = _renamed(progress, f"block {index + 1}/{len(self.blocks)} {block.path}")
            with _telling_of_folded(block, reports):
                fp, quant = streams.reach(block)
                if not fp:
                    idle.append(f"{block.path}: no batch reaches it once quantized, round-to-nearest")
                    continue
                own = plan.options[block.path]
                reports.append(block.core.apply_adascale_to_part(fp, quant, own, stage))
                self.show_folded_weights()
                streams.leave(block)
        if not reports:
            raise Error(f"apply_adascale: no block can be trained: {'; '.join(idle)}")
        outside = [f"{name}: outside every block, full precision" for name in self.outside()]
        return _C.join_reports(reports, idle + outside)

    def _check_state(self, keywords: dict[str, Any]) -> None:
        self._shared.check()
        if keywords.get("train_outside"):
            raise Error(
                "train_outside: got True, but of a model simulated block by block the blocks alone are "
                "quantized and trained; leave it out, or name more modules in QuantizationSimModel's blocks="
            )
        if any(_C.is_calibrated(block.core) for block in self.blocks):
            raise Error(
                "apply_adascale: called after compute_encodings, which froze the weights; call it before"
            )
        if any(_C.was_trained(block.core) for block in self.blocks):
            raise Error("apply_adascale: called twice on one simulation; make a new one")

    def begin_calibration(self) -> None:
        for block in self.blocks:
            block.was_called = False
            block.core.begin_calibration()

    def end_calibration(self) -> None:
        missed = [b.path for b in self.blocks if not b.was_called and _C.count_activations(b.core)]
        if missed:
            raise Error(
                f"compute_encodings: the forward pass never ran {', '.join(missed)}; "
                "call sim.model on data that reaches every block"
            )
        for block in self.blocks:
            block.core.end_calibration()

    def abort_calibration(self) -> None:
        for block in self.blocks:
            block.core.abort_calibration()

    def show_folded_weights(self) -> None:
        """Shows the blocks' present weights in ``sim.model``."""
        for block in self.blocks:
            for name in block.core.state_names():
                path, _, leaf = name.rpartition(".")
                place, now = self.model.get_submodule(path), block.core.state(name)
                shown = place._parameters.get(leaf)
                if shown is not None and shown.data_ptr() != now.data_ptr():
                    place._parameters[leaf] = nn.Parameter(now.detach(), requires_grad=False)

    def parts(self) -> list[tuple[_C.Sim, str]]:
        """The blocks, with their paths."""
        return [(block.core, block.path) for block in self.blocks]

    def outside(self) -> Iterator[str]:
        """Names of the modules with weights outside the blocks; those of blocks left out included."""
        inside = tuple(f"{block.path}." for block in self.blocks)
        for path, module in self.model.named_modules():
            own = [p for p in module._parameters.values() if p is not None and p.dim() > 1]
            if own and not path.startswith(inside):
                yield path or "(root)"

    def describe(self) -> str:
        """The blocks with their quantizers, and the modules left in full precision."""
        lines: list[str] = []
        for block in self.blocks:
            header, _root, *rest = block.core.describe().rstrip().splitlines()
            *settings, weights, activations = header.split(", ")
            if not lines:
                lines.append(f"{', '.join(settings)}, block by block: {self._refusal}")
            lines += [f"  block {block.path}: {weights}, {activations}", *(f"  {line}" for line in rest)]
        lines += [f"  not captured: {path}: {reason}" for path, reason in self.left_out.items()]
        lines += [f"  full precision: {name}: outside every captured block" for name in self.outside()]
        return "\n".join(lines)

    def export(
        self,
        folder: str,
        prefix: str,
        formats: list[str],
        encoding_version: str,
    ) -> list[str]:
        """Writes the files that do not need a whole program; see :func:`export_live`."""
        cores = {block.path: block.core for block in self.blocks}
        return export_live(self.model, cores, list(self.outside()), folder, prefix, formats, encoding_version)


def _simulated(
    twin: nn.Module, blocks: list[LiveBlock], shared: SharedTensors, device: torch.device
) -> nn.Module:
    """The twin with the blocks' forwards replaced; it refuses changes that would make them wrong."""
    for block in blocks:
        module = twin.get_submodule(block.path)
        module.forward = _running(block, module.forward)
        follow_names(twin, set(block.captured.tensors), block.core)
    own = type(twin)

    @wraps(own.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._adascale.recorded is not None:
            self._adascale.recorded.append(snapshot((args, kwargs)))
            raise StopForward
        args, kwargs = moved((args, kwargs), device)
        shared.check()
        with torch.no_grad():
            return own.forward(self, *args, **kwargs)

    twin.__class__ = type(f"Simulated{own.__name__}", (FixedModule, own), {"forward": forward})
    twin._adascale = _Recording()
    return twin


def _running(block: LiveBlock, own: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(own)
    def forward(*args: Any, **kwargs: Any) -> Any:
        return block.run(*args, **kwargs)

    return forward


@contextmanager
def _telling_of_folded(block: LiveBlock, reports: list[_C.AdaScaleReport]) -> Iterator[None]:
    """Errors inside it name the block and the blocks folded before."""
    try:
        yield
    except Exception as error:  # boundary: the live model also runs, up to the block
        text = str(error) if isinstance(error, Error) else first_line(error)
        where = "" if text.startswith(block.path) else f"{block.path}: "
        names = [done.name for report in reports for done in report.blocks]
        folded = f"; folded already, and kept so: {', '.join(names)}" if names else ""
        raise Error(f"{where}{text}{folded}") from error


def _renamed(progress: Progress | None, stage: str) -> Progress | None:
    if progress is None:
        return None
    return lambda _stage, step, total, loss: progress(stage, step, total, loss)
