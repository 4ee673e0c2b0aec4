"""Several processes that train one model, on one machine or several, by PyTorch's distributed runtime.

``torchrun --nproc-per-node 2 -m adascale quantize ... --accumulate 2`` starts two. Each takes its share of
the batches; gradients, losses and the powers of inputs are added over all, so that all have the same
weights. The first one speaks and writes. Nothing of this runs where a process works alone.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from . import _C
from .errors import Error, first_line

_WAIT = timedelta(days=1)  # for the first process's files; one that is gone shows at once, by its connection
_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Within it the processes of ``torch.distributed``'s default group train together.

    All call the same, with the same model and all of the data: :func:`quantize` and
    :func:`apply_adascale` take each process's share themselves. Raises :class:`Error` without a group.
    What is raised within it in one process ends the others at their next exchange.
    """
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        raise Error("together: torch.distributed has no group; call init_process_group() first")
    exchange = _Exchange(distributed.new_group(backend="gloo", timeout=_WAIT))
    _C.set_team(exchange.rank, exchange.size, exchange.add)
    if exchange.rank > 0:
        _C.log_to(_keep_quiet)
    try:
        yield
    finally:
        _C.set_team(0, 1, None)
        _C.log_to(logging.getLogger("adascale").warning)
        distributed.destroy_process_group(exchange.host_group)


@contextlib.contextmanager
def launched() -> Iterator[None]:
    """The same for a process that torchrun started, in a group made for it; others are alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not all(name in os.environ for name in _LAUNCHED):
        yield
        return
    number, devices = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    backend = "gloo"
    if number < devices:
        torch.cuda.set_device(number)
        backend = "cpu:gloo,cuda:nccl"
    torch.distributed.init_process_group(backend)
    try:
        with together():
            yield
    finally:
        torch.distributed.destroy_process_group()


def note_alone() -> None:
    """Says that a process of a group works alone outside ``together()``, as may be meant."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized() or _C.has_team():
        return
    if (size := distributed.get_world_size()) > 1:
        logging.getLogger("adascale").warning(
            "torch.distributed has a group of %d processes; outside adascale.together() each works alone",
            size,
        )


class _Exchange:
    """Adds the host's tensors by Gloo, a GPU's in the default group."""

    def __init__(self, host_group: Any) -> None:
        self.host_group = host_group
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def add(self, tensors: Sequence[Tensor]) -> str | None:
        """Adds each over all processes, in place; returns why that failed."""
        try:
            for tensor in tensors:
                group = self.host_group if tensor.device.type == "cpu" else None
                torch.distributed.all_reduce(tensor, group=group)
        except RuntimeError as error:
            return (
                f"process {self.rank} of {self.size}: no exchange with the others ({first_line(error)}); if "
                f"one ended, start all again, with {_C.option('resume')} where blocks are finished"
            )
        return None


def _keep_quiet(line: str) -> None:
    """The first process says the same."""
