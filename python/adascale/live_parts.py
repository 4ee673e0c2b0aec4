"""The blocks of a model without a program of the whole, each captured alone, and the model that runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from . import _C
from ._C import option
from .capture import Capture, capture_module
from .devices import device_of, moved, snapshot
from .errors import Error, first_line
from .live_blocks import LiveBlock, find_live_blocks, run_live
from .shared_weights import SharedWeights
from .signature import SIM_WORDS, Call, Words
from .simulated_model import StopForward, follow_names, read_on_demand, show_folded_weights
from .twin import places_of, twin_of


@dataclass(frozen=True)
class LiveParts:
    """A live model's blocks, captured, in the order of their calls."""

    float_model: nn.Module  # a twin of the model, in full precision
    to_quantize: nn.Module  # another, which has not run
    buffers: dict[str, Tensor]  # the model's, by name, where the twins have their own
    device: torch.device
    places: list[_C.PlacedTensor]
    refusal: str  # why the model cannot be exported whole
    captured: dict[str, Capture]  # by path
    left_out: list[tuple[str, str]]  # blocks that cannot be exported either, with the reason
    idle: list[str]  # modules that the example does not call


def find_parts(
    model: nn.Module,
    example: Call,
    refusal: str,
    patterns: Sequence[str] | None,
    words: Words = SIM_WORDS,
    own_buffers: bool = False,
    where: str = "the example",
) -> LiveParts:
    """Finds the blocks where a twin of the model runs on ``example``, and captures each.

    patterns: globs over paths instead of the rule. words: of messages about later calls. own_buffers: the
    model's stay as they are where a twin writes to its own. where: from which the example is. Errors: the
    model fails, there is no block, none can be captured.
    """
    device = device_of(model)
    # Both before either runs and changes itself: a counter, a cache filled at the first call.
    float_model, to_quantize = twin_of(model, own_buffers), twin_of(model, own_buffers)
    buffers = dict(model.named_buffers(remove_duplicate=False)) if own_buffers else {}
    places = places_of(float_model)
    found, idle = _find(float_model, moved(example, device), refusal, patterns, where)
    tried = {path: _capture(float_model, path, call, words) for path, call in found.items()}
    captured = {path: result for path, result in tried.items() if isinstance(result, Capture)}
    left_out = [(path, reason) for path, reason in tried.items() if isinstance(reason, str)]
    if not captured:
        first = ": ".join(left_out[0])
        raise Error(f"{refusal}; nor does any of its {len(found)} blocks export alone: {first}")
    return LiveParts(float_model, to_quantize, buffers, device, places, refusal, captured, left_out, idle)


def _find(
    model: nn.Module, example: Call, refusal: str, patterns: Sequence[str] | None, where: str
) -> tuple[dict[str, Call], list[str]]:
    try:
        found, idle = find_live_blocks(model, example, patterns)
    except Error:
        raise
    except Exception as error:  # boundary: the model itself fails on the example
        raise Error(f"{where}: the model does not run on it: {first_line(error)}; {refusal}") from error
    if not found:
        raise Error(
            f"{refusal}; nor are there blocks to capture alone: no two modules of one class with two "
            f"layers each are called in a row; name them with {option('blocks')}"
        )
    return found, idle


def _capture(model: nn.Module, path: str, call: Call, words: Words) -> Capture | str:
    """The block's program, or the reason why the block stays live."""
    try:
        captured = capture_module(model, path, call, words)
        inputs = captured.signature.flatten(*call)
        live = run_live(model.get_submodule(path), call)
        difference = _C.difference_to_live(captured.graph, captured.tensors, inputs, live)
    except (Error, TypeError) as error:
        return str(error)
    return f"captured alone it computes something else: {difference}" if difference else captured


class SimulatedParts:
    """The FP model beside the quantized one, ``model``, whose blocks C++ runs.

    sims: the simulations of the blocks, in the order of ``found.captured``. on_demand: their quantized
    weights are not in memory; where ``model`` reads one outside the blocks it is made.
    """

    def __init__(
        self, found: LiveParts, sims: Sequence[_C.Sim], parts: _C.PartedModel, on_demand: bool = False
    ) -> None:
        self.float_model, self.device = found.float_model, found.device
        self.blocks = [
            LiveBlock(path, sim, captured)
            for (path, captured), sim in zip(found.captured.items(), sims, strict=True)
        ]
        self.model = _simulated(found.to_quantize, self.blocks, parts, self.device)
        self._buffers, self._on_demand = found.buffers, on_demand
        show_folded_weights(self.model, sims)  # batch norms were folded
        if on_demand:
            for sim in sims:
                read_on_demand(self.model, sim)

    def show_folded_weights(self) -> None:
        """Shows the blocks' present weights in ``model``, unless they are made on demand."""
        if not self._on_demand:
            show_folded_weights(self.model, [block.core for block in self.blocks])

    def state(self) -> list[tuple[str, Tensor]]:
        """The quantized model's parameters and buffers, under all their names; buffers as they were before it
        ran, where it has its own; quantized weights as they came, where they are made on demand."""
        self.show_folded_weights()
        return [(name, self._buffers.get(name, tensor)) for name, tensor in self.model.state_dict().items()]


def _simulated(
    twin: nn.Module, blocks: list[LiveBlock], parts: _C.PartedModel, device: torch.device
) -> nn.Module:
    """The twin with the blocks' forwards replaced; it refuses changes that would make them wrong."""
    # recorded: inputs, while they are recorded. weights_only: activations pass unquantized, as in training.
    handling = SimpleNamespace(recorded=None, weights_only=False)
    for block in blocks:
        module = twin.get_submodule(block.path)
        module.forward = wraps(module.forward)(partial(block.run, handling))
        follow_names(twin, set(block.captured.tensors), block.core)
    own = type(twin)

    @wraps(own.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        if handling.recorded is not None:
            handling.recorded.append(snapshot((args, kwargs)))
            raise StopForward
        args, kwargs = moved((args, kwargs), device)
        parts.check_unchanged()
        with torch.no_grad():
            return own.forward(self, *args, **kwargs)

    methods = {"forward": forward, "_adascale_moved_by": ", or move it, then simulate it"}
    twin.__class__ = type(f"Simulated{own.__name__}", (SharedWeights, own), methods)
    twin._adascale = handling
    return twin
