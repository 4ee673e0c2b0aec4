"""Runs a live model for C++: it sees the calls of the blocks and catches their inputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import _C
from .devices import moved
from .live_blocks import LiveBlock, run_live, watching
from .live_parts import SimulatedParts
from .signature import Call
from .simulated_model import StopForward


class LiveRuns:
    """The FP model and the quantized one, on ``batches``. Blocks and batches are numbers, inputs and outputs
    flat."""

    def __init__(self, simulated: SimulatedParts, batches: list[Call]) -> None:
        self._simulated, self._batches = simulated, batches
        self._float, self._quantized = simulated.float_model, simulated.model
        self._blocks = simulated.blocks

    def look(self, batch: int, flow: _C.LiveFlow) -> None:
        """Runs the FP model and tells ``flow`` of the blocks' calls."""
        numbers = {block.path: number for number, block in enumerate(self._blocks)}

        def enter(path: str, call: Call) -> None:
            flow.enter(numbers[path], self._blocks[numbers[path]].flatten(call))

        def leave(path: str, output: Any) -> None:
            flow.leave(numbers[path], pytree.tree_leaves(output))

        with watching(self._float, numbers, enter, leave):
            self._run(self._float, batch)

    def run_to(self, quantized: bool, block: int, batch: int) -> list[Any] | None:
        """The inputs with which a model calls the block; None where it does not."""
        caught: list[Call] = []

        def stop(_path: str, call: Call) -> None:
            caught.append(call)
            raise StopForward

        if quantized:
            self._simulated.show_folded_weights()
        model = self._quantized if quantized else self._float
        with _weights_only(self._blocks), watching(model, [self._blocks[block].path], stop):
            try:
                self._run(model, batch)
            except StopForward:
                return self._blocks[block].flatten(caught[0])
        return None

    def run_module(self, block: int, inputs: list[Any]) -> list[Any]:
        """The outputs of the live block in the FP model."""
        path, signature = self._blocks[block].path, self._blocks[block].captured.signature
        return run_live(self._float.get_submodule(path), signature.unflatten(inputs))

    def run_quantized(self, batch: int) -> None:
        """Runs the quantized model, whose blocks hear of their calls."""
        self._simulated.show_folded_weights()
        self._run(self._quantized, batch)

    def state(self) -> list[tuple[str, Tensor]]:
        """The quantized model's parameters and buffers, under all their names."""
        return self._simulated.state()

    def _run(self, model: nn.Module, batch: int) -> None:
        args, kwargs = moved(self._batches[batch], self._simulated.device)
        model(*args, **kwargs)


@contextmanager
def _weights_only(blocks: list[LiveBlock]) -> Iterator[None]:
    """Within it the simulated blocks' activations pass unquantized."""
    for block in blocks:
        block.weights_only = True
    try:
        yield
    finally:
        for block in blocks:
            block.weights_only = False
