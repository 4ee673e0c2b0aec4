"""Sequences of any length through LSTM and GRU: ``torch.export`` would fix the example's length."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

# The keys of torch's own Python kernels of these operators, which loop over the steps.
_COMPOSITE = (torch._C.DispatchKey.CompositeImplicitAutograd, torch._C.DispatchKey.Autograd)


@contextmanager
def open_lengths() -> Iterator[None]:
    """Within it the rules below give the shapes of recurrent operators; the length stays a symbol.

    Without them torch finds the shapes by running its own loop over the steps, once for each step.
    """
    overridden = [(op, key) for op in _rules() for key in _COMPOSITE]
    before = {(op, key): op.py_kernels.get(key) for op, key in overridden}
    for op, key in overridden:
        _set_kernel(op, key, _rules()[op])
    try:
        yield
    finally:
        for (op, key), kernel in before.items():
            _set_kernel(op, key, kernel)


def _set_kernel(op: Any, key: Any, kernel: Callable[..., Any] | None) -> None:
    op._dispatch_cache.clear()
    if kernel is None:
        op.py_kernels.pop(key, None)
    else:
        op.py_kernels[key] = kernel


def _rules() -> dict[Any, Callable[..., tuple[Tensor, ...]]]:
    aten = torch.ops.aten
    states_alone = dict.fromkeys((aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input), _one_state)
    return {aten.lstm.input: _lstm, **states_alone}


def _lstm(x: Tensor, states: list[Tensor], params: list[Tensor], *settings: Any) -> tuple[Tensor, ...]:
    # input [batch, time, features] or [time, batch, features], states [layers * directions, batch, size]
    return _output(x, states[0], *settings), *(torch.empty_like(state) for state in states)


def _one_state(x: Tensor, state: Tensor, params: list[Tensor], *settings: Any) -> tuple[Tensor, ...]:
    return _output(x, state, *settings), torch.empty_like(state)


def _output(
    x: Tensor,
    state: Tensor,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Tensor:
    return x.new_empty(*x.shape[:-1], state.shape[-1] * (2 if bidirectional else 1))
