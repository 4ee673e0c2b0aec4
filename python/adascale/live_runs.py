"""Runs a live model for C++: it sees the calls of the blocks and catches their inputs."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from . import _C
from .devices import moved
from .live_blocks import run_live, watching
from .live_parts import SimulatedParts
from .signature import Call
from .simulated_model import StopForward


@dataclass(frozen=True)
class LiveRuns:
    """The FP model and the quantized one, on ``batches``. Blocks and batches are numbers, inputs and outputs
    flat."""

    simulated: SimulatedParts
    batches: list[Call]

    def look(self, batch: int, flow: _C.LiveFlow) -> None:
        """Runs the FP model and tells ``flow`` of the blocks' calls."""
        numbers = {block.path: number for number, block in enumerate(self.simulated.blocks)}

        def enter(path: str, call: Call) -> None:
            flow.enter(numbers[path], self.simulated.blocks[numbers[path]].flatten(call))

        def leave(path: str, output: Any) -> None:
            flow.leave(numbers[path], pytree.tree_leaves(output))

        with watching(self.simulated.float_model, numbers, enter, leave):
            self._run(self.simulated.float_model, batch)

    def run_to(self, quantized: bool, block: int, batch: int) -> list[Any] | None:
        """The inputs with which a model calls the block; None where it does not."""
        caught: list[Call] = []

        def stop(_path: str, call: Call) -> None:
            caught.append(call)
            raise StopForward

        simulated, stopped = self.simulated, self.simulated.blocks[block]
        if quantized:
            simulated.show_folded_weights()
        model = simulated.model if quantized else simulated.float_model
        handling = simulated.model._adascale
        handling.weights_only = True
        try:
            with watching(model, [stopped.path], stop):
                self._run(model, batch)
        except StopForward:
            return stopped.flatten(caught[0])
        finally:
            handling.weights_only = False
        return None

    def run_module(self, block: int, inputs: list[Any]) -> list[Any]:
        """The outputs of the live block in the FP model."""
        live = self.simulated.blocks[block]
        call = moved(live.captured.signature.unflatten(inputs), self.simulated.device)
        return run_live(self.simulated.float_model.get_submodule(live.path), call)

    def run_quantized(self, batch: int) -> None:
        """Runs the quantized model, whose blocks hear of their calls."""
        self.simulated.show_folded_weights()
        self._run(self.simulated.model, batch)

    def state(self) -> list[tuple[str, Tensor]]:
        """The quantized model's parameters and buffers, under all their names."""
        return self.simulated.state()

    def _run(self, model: nn.Module, batch: int) -> None:
        args, kwargs = moved(self.batches[batch], self.simulated.device)
        model(*args, **kwargs)
