"""AdaScale from Python: reads the data once, then C++ trains."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from . import _C
from .errors import Error
from .options import AdaScaleKeywords, document, keywords_of
from .processes import note_alone
from .progress import Progress
from .sim import QuantizationSimModel
from .simulated_model import StopForward, recording

ForwardFn = Callable[[Any, Any], Any]


def default_forward_fn(model: Callable[..., Any], batch: Any) -> Any:
    """Calls ``model`` on a batch: a tensor unchanged, a tuple or list unpacked, a dict as named arguments."""
    if isinstance(batch, Tensor):
        return model(batch)
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)):
        return model(*batch)
    raise Error(
        f"default_forward_fn: got a batch of type {type(batch).__name__}, expected a tensor, tuple, list "
        "or dict; give apply_adascale a forward_fn(model, batch) of your own"
    )


def apply_adascale(
    qsim: QuantizationSimModel,
    data_loader: Iterable[Any],
    forward_fn: ForwardFn | None = None,
    num_epochs: int | None = None,
    *,
    progress: bool = True,
    **options: Unpack[AdaScaleKeywords],
) -> _C.AdaScaleReport:
    """Learns the weight encodings block by block and folds them into ``qsim.model``.

    data_loader: any iterable of batches, read once; each batch is one iteration of an epoch.
    forward_fn: ``forward_fn(model, batch)`` prepares the input and calls the model once, last;
        :func:`default_forward_fn` when None.
    num_epochs: passes over the batches, per block; one when neither epochs nor iterations are given.
    progress: shows a bar on a terminal, plain lines elsewhere, on standard error.

    Activation quantizers are neither used nor changed. Returns a report; ``print`` shows it as a table.
    Ctrl-C stops it: finished blocks are folded, the others unchanged.
    Raises :class:`adascale.Error`: before any training with what can be known then; a later one names the
    blocks that are folded already, or kept in the checkpoint.
    """
    if not isinstance(qsim, QuantizationSimModel):
        raise Error(
            f"apply_adascale: qsim: got {type(qsim).__name__}, expected a QuantizationSimModel; "
            "make one of the model first"
        )
    note_alone()
    keywords = keywords_of(options)
    if num_epochs is not None:
        keywords["num_epochs"] = num_epochs
    training = _C.AdaScaleOptions(keywords)  # before the loader, which may take long
    batches = _record(qsim.model, data_loader, forward_fn or default_forward_fn)
    with Progress(progress) as show, torch.inference_mode(False):
        try:
            return qsim._core.apply_adascale(batches, training, show)
        finally:
            qsim._show_folded_weights()


def _record(model: nn.Module, data_loader: Iterable[Any], forward_fn: ForwardFn) -> list[Any]:
    """The inputs with which ``forward_fn`` calls the model, one entry per batch."""
    with recording(model) as recorded:
        for index, batch in enumerate(data_loader):
            try:
                forward_fn(model, batch)
            except StopForward:
                pass
            except Error as error:
                raise Error(f"batch {index}: {error}") from error
            except TypeError as error:
                if forward_fn is not default_forward_fn or not isinstance(batch, (tuple, list)):
                    raise
                raise Error(
                    f"batch {index}: {error}; where a batch holds more than the model's inputs "
                    "(labels), give forward_fn=lambda model, batch: model(batch[0])"
                ) from error
            _check_calls(index, len(recorded) - index)
        if not recorded:
            raise Error("apply_adascale: data_loader gave no batch; a generator can be read only once")
        return recorded


def _check_calls(index: int, calls: int) -> None:
    if calls == 0:
        raise Error(f"batch {index}: forward_fn never called the model it was given; call model(...) in it")
    if calls > 1:
        raise Error(
            f"batch {index}: forward_fn called the model {calls} times, expected once; split the batch"
        )


apply_adascale.__doc__ = document(apply_adascale.__doc__, _C.adascale_keywords())
