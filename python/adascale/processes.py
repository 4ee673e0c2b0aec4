"""Several processes that train one model, on one machine or several, by PyTorch's distributed runtime.

``torchrun --nproc-per-node 2 -m adascale quantize ... --accumulate 2`` starts two. Each takes its share of
the batches; gradients, losses and the powers of inputs are added over all, so that all have the same
weights. The first one writes. Nothing of this loads where a process works alone.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from . import _C
from .errors import first_line


@contextlib.contextmanager
def team(*, starts: bool = False) -> Iterator[None]:
    """Within it the processes of torch.distributed's default group train together.

    starts: makes that group where torchrun started the process, and closes it; else it is the caller's.
    """
    distributed = torch.distributed
    makes = starts and int(os.environ.get("WORLD_SIZE", "1")) > 1
    if makes:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group()
    if not distributed.is_available() or not distributed.is_initialized():
        yield
        return
    _C.set_team(distributed.get_rank(), distributed.get_world_size(), _add)
    try:
        yield
    finally:
        _C.set_team(0, 1, None)
        if makes:
            distributed.destroy_process_group()


def _add(tensors: Sequence[Tensor]) -> str | None:
    """Adds each over all processes, in place; returns why that failed."""
    try:
        for tensor in tensors:
            torch.distributed.all_reduce(tensor)
    except RuntimeError as error:
        rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        return (
            f"process {rank} of {size}: another process does not answer ({first_line(error)}); "
            f"start all again, with {_C.option('resume')} where blocks are finished"
        )
    return None
