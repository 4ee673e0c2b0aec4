"""The inputs of a live model's blocks, batch by batch, in the FP model and in the quantized one."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .devices import free_bytes, moved
from .errors import Error
from .live_blocks import LiveBlock, copied, largest_difference
from .signature import Call
from .simulated_model import StopForward
from .twin import version_of

log = logging.getLogger("adascale")


@dataclass
class _Link:
    """The sources of a block's flat inputs in the block before it: its input or output of that number.

    None in ``sources``: a number or flag, the same in every call.
    """

    before: str
    sources: list[tuple[str, int] | None]


@dataclass
class _Stretch:
    """The last block's flat inputs and outputs in one stream, by batch."""

    inputs: dict[int, list[Any]] = field(default_factory=dict)
    outputs: dict[int, list[Any]] = field(default_factory=dict)

    def follow(self, link: _Link, batch: int) -> list[Any]:
        inputs, outputs = self.inputs[batch], self.outputs[batch]
        return [
            None if source is None else (inputs if source[0] == "in" else outputs)[source[1]]
            for source in link.sources
        ]


class LiveStreams:
    """Gives each block's inputs in turn; only those of one block are in memory.

    If a block only reads inputs and outputs of the block before it (in the FP model), the streams
    continue from there; otherwise the live models run anew up to the block.
    """

    def __init__(
        self,
        float_model: nn.Module,
        quant_model: nn.Module,
        blocks: list[LiveBlock],
        batches: list[Call],
        device: torch.device,
    ) -> None:
        self._models = {"fp": float_model, "quant": quant_model}
        self._batches, self._device = batches, device
        self._bytes: Counter[str] = (
            Counter()
        )  # of each block's inputs and outputs in the FP model, by its path
        self._links = [
            _links_of(number, float_model, blocks, moved(batch, device), self._bytes)
            for number, batch in enumerate(batches)
        ]
        self._at = ""  # path of the block that the stretches hold
        self._stretches = {stream: _Stretch() for stream in self._models}

    def count_reaching(self) -> dict[str, int]:
        """The number of batches that reach a block in the FP model, by its path."""
        return Counter(path for links in self._links for path in links)

    def check_memory(self) -> None:
        """Raises when the streams of the largest block need more memory than the device has."""
        path, one_stream = max(self._bytes.items(), key=lambda item: item[1], default=("", 0))
        free, held = free_bytes(self._device), len(self._models) * one_stream
        if free is not None and held > free:
            raise Error(
                f"{path}: a model simulated block by block keeps its activations in memory, about "
                f"{held >> 20} MiB on {self._device}, which has {free >> 20} MiB free; "
                "give fewer or shorter samples"
            )

    def reach(self, block: LiveBlock) -> tuple[list[list[Any]], list[list[Any]]]:
        """The block's flat inputs, FP and quantized, for the batches that reach it in both."""
        reached = {stream: _Stretch() for stream in self._models}
        for batch, links in enumerate(self._links):
            if block.path not in links:
                continue
            pair = {stream: self._inputs(stream, block, batch) for stream in self._models}
            if any(inputs is None for inputs in pair.values()):
                log.warning("%s: batch %d does not reach it once quantized: left out", block.path, batch)
                continue
            for stream, inputs in pair.items():
                reached[stream].inputs[batch] = inputs
        self._at, self._stretches = block.path, reached
        self._run_float(block)
        return list(reached["fp"].inputs.values()), list(reached["quant"].inputs.values())

    def leave(self, block: LiveBlock) -> None:
        """Runs the block with its present quantized weights."""
        stretch = self._stretches["quant"]
        for batch, inputs in stretch.inputs.items():
            stretch.outputs[batch] = block.core.call(inputs)

    def _inputs(self, stream: str, block: LiveBlock, batch: int) -> list[Any] | None:
        link, stretch = self._links[batch][block.path], self._stretches[stream]
        if link is not None and link.before == self._at and batch in stretch.outputs:
            return block.with_fixed(stretch.follow(link, batch))
        model, (args, kwargs) = self._models[stream], moved(self._batches[batch], self._device)
        with _catching(model.get_submodule(block.path)) as caught, torch.no_grad():
            try:
                model(*args, **kwargs)
            except StopForward:
                return block.flatten(caught[0])
        return None

    def _run_float(self, block: LiveBlock) -> None:
        """Runs the live block and checks the captured one: it may have fixed what data decide."""
        stretch = self._stretches["fp"]
        module = self._models["fp"].get_submodule(block.path)
        for batch, inputs in stretch.inputs.items():
            args, kwargs = copied(block.captured.signature.unflatten(inputs))
            with torch.no_grad():
                outputs = pytree.tree_leaves(module(*args, **kwargs))
            difference = largest_difference(block.core.call_float(inputs), outputs)
            if difference:
                raise Error(
                    f"{block.path}: batch {batch}: captured alone it computes something else than live "
                    f"({difference}): its way depends on the data; leave it out with blocks="
                )
            stretch.outputs[batch] = outputs


def _links_of(
    number: int, model: nn.Module, blocks: list[LiveBlock], batch: Call, held: Counter[str]
) -> dict[str, _Link | None]:
    try:
        return _links(model, blocks, batch, held)
    except Error as error:
        raise Error(f"batch {number}: {error}") from error


def _links(
    model: nn.Module, blocks: list[LiveBlock], batch: Call, held: Counter[str]
) -> dict[str, _Link | None]:
    """Paths of the blocks that a batch reaches, and the link of each to the one before, if there is one.

    Adds the bytes of each block's inputs and outputs to ``held``.
    """
    links: dict[str, _Link | None] = {}
    last: dict[str, Any] = {}

    def enter(block: LiveBlock) -> Any:
        def see(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if block.path not in links:
                inputs = block.flatten((args, kwargs))
                links[block.path] = _link(last, inputs)
                held[block.path] += _bytes_of(inputs)
                last.clear()
                last.update(path=block.path, inputs=_versioned(inputs))

        return see

    def leave(block: LiveBlock) -> Any:
        def see(_module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
            if last.get("path") == block.path and "outputs" not in last:
                last["outputs"] = _versioned(pytree.tree_leaves(output))
                held[block.path] += _bytes_of(pytree.tree_leaves(output))

        return see

    handles = []
    for block in blocks:
        module = model.get_submodule(block.path)
        handles.append(module.register_forward_pre_hook(enter(block), with_kwargs=True))
        handles.append(module.register_forward_hook(leave(block), with_kwargs=True))
    try:
        with torch.no_grad():
            model(*batch[0], **batch[1])
    finally:
        for handle in handles:
            handle.remove()
    return links


def _versioned(leaves: list[Any]) -> list[tuple[Any, int]]:
    return [(leaf, version_of(leaf) if isinstance(leaf, Tensor) else 0) for leaf in leaves]


def _bytes_of(leaves: list[Any]) -> int:
    return sum(leaf.nbytes for leaf in leaves if isinstance(leaf, Tensor))


def _link(last: dict[str, Any], inputs: list[Any]) -> _Link | None:
    """None if an input is no input or output of the last block, or was written to since."""
    if "outputs" not in last:
        return None
    sources: list[tuple[str, int] | None] = []
    for leaf in inputs:
        if not isinstance(leaf, Tensor):
            sources.append(None)
            continue
        found = [
            (kind, index)
            for kind, known in (("out", last["outputs"]), ("in", last["inputs"]))
            for index, (other, version) in enumerate(known)
            if other is leaf and version == version_of(leaf)
        ]
        if not found:
            return None
        sources.append(found[0])
    return _Link(last["path"], sources)


@contextmanager
def _catching(block: nn.Module) -> Iterator[list[Call]]:
    """Within it the block's next call leaves its inputs in the list and ends the forward pass."""
    caught: list[Call] = []

    def stop(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught.append((args, kwargs))
        raise StopForward

    handle = block.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        yield caught
    finally:
        handle.remove()
