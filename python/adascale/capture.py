"""The graph and tensors of a live module for C++: ``torch.export`` without copying a weight."""

import inspect
import io
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .devices import device_of, moved
from .errors import Error, first_line
from .layer_traces import check_traces
from .recurrent import open_lengths
from .repeated_graph import write_out
from .repeated_layers import NotAsItsPattern, NotRepeated, all_tensors, find_stacks, shortened
from .signature import SIM_WORDS, Call, CallSignature, Words, call_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram

log = logging.getLogger("adascale")

# An LSTM's or GRU's own list of its parameters, which it makes anew and torch takes for a side effect.
_LSTM_REFRESHED = r"The tensor attributes (self\.[\w.]*_flat_weights\[\d+\](, )?)+ were assigned"


class ExportError(Error):
    """The model cannot be captured as a whole; capturing it block by block may still work."""


@dataclass(frozen=True)
class Capture:
    """The input of C++'s program, and how Python calls that program."""

    graph: bytes  # JSON: the ExportedProgram of torch's export schema, as in a .pt2's model.json
    tensors: dict[str, Tensor]  # every parameter, buffer and constant: the live module's own
    signature: CallSignature
    out_spec: pytree.TreeSpec
    input_names: list[str | None]  # the graph's names of the flat inputs; None: a constant fixed at capture


def capture(model: nn.Module, dummy_input: Any, words: Words = SIM_WORDS) -> Capture:
    """Captures ``model`` with every input dimension open; each call checks sizes that the model fixes.

    ``dummy_input``: a tensor, a tuple or list of positional arguments, or a dict of named ones. The model
    is captured in eval mode and restored. Errors: one line, with the source line where ``torch.export``
    stopped, in these ``words``.
    """
    check_example(model, dummy_input, words)
    return capture_call(model, *call_of(dummy_input), words)


def check_example(model: nn.Module, dummy_input: Any, words: Words = SIM_WORDS) -> None:
    """Raises when ``model`` or the example is of a wrong type, or the model's signature does not take it."""
    if not isinstance(model, nn.Module):
        raise Error(f"model: got {type(model).__name__}, expected a torch.nn.Module")
    args, kwargs = call_of(dummy_input, words)
    if not any(isinstance(leaf, Tensor) for leaf in pytree.tree_leaves((args, kwargs))):
        raise Error(f"{words.at_example}no tensor in it; give an example of the model's input")
    CallSignature(model.forward, args, kwargs, words)


def capture_call(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], words: Words = SIM_WORDS
) -> Capture:
    """The same for an example given as the call's positional and named arguments, on any device."""
    args, kwargs = moved((args, kwargs), device_of(model))
    signature = CallSignature(model.forward, args, kwargs, words)
    with _eval_mode(model), _no_cache(model, signature), _spelled_out(model, signature), torch.no_grad():
        return _capture_repeated(model, signature) or _capture_now(model, signature)


def _capture_repeated(model: nn.Module, signature: CallSignature) -> Capture | None:
    """What :func:`_capture_now` gives, of a deep model in less time; None where its layers are not alike."""
    for occurrence in (1, 2):
        stacks = find_stacks(model, occurrence)
        if not stacks:
            return None
        try:
            if occurrence == 1:  # a later pattern is equal to the first, by the same comparison
                with _attributes_kept(model):
                    check_traces(model, (signature.args, signature.kwargs), stacks)
            with shortened(model, stacks):
                captured = _capture_now(model, signature)
            graph = write_out(captured.graph, stacks)
            tensors = captured.tensors
            for stack in stacks:
                tensors = all_tensors(tensors, stack)
            return replace(captured, graph=graph, tensors=tensors)
        except NotAsItsPattern as reason:
            log.info("captured with more layers: %s", reason)
        except (ExportError, NotRepeated) as reason:
            log.info("captured with all its layers: %s", reason)
            return None
    return None


def _capture_now(model: nn.Module, signature: CallSignature) -> Capture:
    program = _export_any_batch(model, signature)
    return Capture(
        graph=_serialize(program),
        tensors=_tensors_of(program),
        signature=signature,
        out_spec=program.call_spec.out_spec,
        input_names=_input_names(program),
    )


def capture_module(model: nn.Module, path: str, call: Call, words: Words = SIM_WORDS) -> Capture:
    """Captures one module of ``model`` separately, under the names that it has there."""
    module = model.get_submodule(path)
    shell = place = nn.Module()
    *parents, leaf = path.split(".")
    for name in parents:
        place.add_module(name, nn.Module())
        place = place.get_submodule(name)
    place.add_module(leaf, module)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return module(*args, **kwargs)

    forward.__signature__ = inspect.signature(module.forward)  # type: ignore[attr-defined]
    shell.forward = forward
    return capture_call(shell.eval(), *call, words)


def _export_any_batch(model: nn.Module, signature: CallSignature) -> "ExportedProgram":
    # torch.export takes a size of 1 for a constant of the model, so it gets a batch of 2 instead.
    args, kwargs = _distinct((signature.args, signature.kwargs))
    if _batch_size((args, kwargs)) != 1:
        return _export(model, signature, args, kwargs)
    refusal: Error | None = None
    for two_args, two_kwargs in (_all_twice((args, kwargs)), _first_twice((args, kwargs))):
        try:
            return _export(model, signature, two_args, two_kwargs)
        except Error as error:
            refusal = refusal or error
    program = _export(model, signature, args, kwargs)
    log.warning("the captured model takes a batch of 1 only; a batch of 2 fails: %s", refusal)
    return program


def _distinct(call: Call) -> Call:
    """Copies a tensor given twice: torch.export would take the two arguments for one."""
    seen: set[int] = set()

    def copy_again(tensor: Tensor) -> Tensor:
        if id(tensor) in seen:
            return tensor.clone()
        seen.add(id(tensor))
        return tensor

    args, kwargs = pytree.tree_map_only(Tensor, copy_again, call)
    return args, kwargs


def _batch_size(call: Any) -> int:
    """The first size of the first tensor that has one."""
    return next(
        (leaf.shape[0] for leaf in pytree.tree_leaves(call) if isinstance(leaf, Tensor) and leaf.dim()), 0
    )


def _all_twice(call: Call) -> Call:
    """The inputs of leading size 1, doubled: samples, one each."""
    args, kwargs = pytree.tree_map_only(Tensor, _repeat_once, call)
    return args, kwargs


def _first_twice(call: Call) -> Call:
    """Only the first doubled: the others' size 1 is no batch (a mask or positions for all samples)."""
    first = next(leaf for leaf in pytree.tree_leaves(call) if isinstance(leaf, Tensor) and leaf.dim())
    args, kwargs = pytree.tree_map_only(
        Tensor, lambda tensor: _repeat_once(tensor) if tensor is first else tensor, call
    )
    return args, kwargs


def _repeat_once(tensor: Tensor) -> Tensor:
    return tensor if tensor.dim() == 0 or tensor.shape[0] != 1 else torch.cat([tensor, tensor])


def _open_dims(leaf: Any) -> dict[int, Any] | None:
    return dict.fromkeys(range(leaf.dim()), torch.export.Dim.AUTO) if isinstance(leaf, Tensor) else None


def _export(
    model: nn.Module, signature: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> "ExportedProgram":
    arguments = dict(signature.spelled_out.bind(*args, **kwargs).arguments)
    shapes = pytree.tree_map(_open_dims, arguments)
    try:
        with _quiet_torch(), open_lengths(), _attributes_kept(model):
            return torch.export.export(model, args, kwargs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # boundary: any exception of the model or torch becomes one line
        raise ExportError(
            f"torch.export refuses the model{_user_line(error)}: {first_line(error)}"
        ) from error


def _user_line(error: BaseException) -> str:
    """` at model.py:7 in forward, "if x.sum() > 0:"`: the innermost line outside torch and this package."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(ours)]
    inside = [f for f in frames if f.name != "<module>"]
    if not inside:
        return ""
    frame = inside[-1]
    return f' at {frame.filename}:{frame.lineno} in {frame.name}, "{frame.line}"'


def _serialize(program: "ExportedProgram") -> bytes:
    # Imported here because it loads the whole of torch's compiler: a second that
    # `import adascale` should not take.
    from torch._export.serde import serialize as serde

    # A written state would hold every weight a second time.
    left_out = ("serialize_state_dict", "serialize_constants", "serialize_example_inputs")
    known = inspect.signature(serde.serialize).parameters.keys() >= set(left_out)
    try:
        if known:
            return serde.serialize(program, **dict.fromkeys(left_out, False)).exported_program
        from unittest.mock import patch

        # torch 2.11 always writes the state, with this function.
        with patch.object(serde, "serialize_torch_artifact", lambda *_: b""):
            return serde.serialize(program).exported_program
    except (
        Exception
    ) as error:  # boundary: torch's serializer raises many kinds, with whole tracebacks as text
        raise ExportError(
            f"the captured graph does not fit torch's export schema: {first_line(error)}"
        ) from error


def _tensors_of(program: "ExportedProgram") -> dict[str, Tensor]:
    tensors = {**program.state_dict, **program.constants}
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise ExportError(
                f"{name}: the model holds a {type(value).__name__}, which has no place in a graph of tensors"
            )
    return tensors


def _input_names(program: "ExportedProgram") -> list[str | None]:
    from torch.export.graph_signature import InputKind, TensorArgument

    given = [spec.arg for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    return [argument.name if isinstance(argument, TensorArgument) else None for argument in given]


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    if training:
        log.warning("the model is in train mode: captured in eval mode, then put back")
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _attributes_kept(model: nn.Module) -> Iterator[None]:
    """Puts back what forward assigns: a run without values leaves its fake tensors in the model, as does
    torch.export where it fails."""
    own = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    before = [(m, dict(m.__dict__), dict(m._buffers), dict(m._parameters)) for m in own]
    try:
        yield
    finally:
        for module, attributes, buffers, parameters in before:
            for now, then in ((module._buffers, buffers), (module._parameters, parameters)):
                now.clear()
                now.update(then)
            module.__dict__.clear()
            module.__dict__.update(attributes)


@contextmanager
def _no_cache(model: nn.Module, signature: CallSignature) -> Iterator[None]:
    """Transformers models return a key-value cache by default; a graph run as a whole does not use it."""
    config: Any = getattr(model, "config", None)
    if not getattr(config, "use_cache", False) or "use_cache" in signature.captured:
        yield
        return
    log.info("captured with config.use_cache off: no key-value cache is returned")
    config.use_cache = False
    try:
        yield
    finally:
        config.use_cache = True


@contextmanager
def _spelled_out(model: nn.Module, signature: CallSignature) -> Iterator[None]:
    """torch.export 2.13 fails on open dimensions in ``**kwargs``: names these in the signature."""
    forward, own = model.forward, model.__dict__.get("forward")

    def spelled_out(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    spelled_out.__signature__ = signature.spelled_out  # type: ignore[attr-defined]
    model.forward = spelled_out
    try:
        yield
    finally:
        del model.forward
        if own is not None:
            model.forward = own


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Silences torch.export, which prints pages about the error that it raises; we show that error."""
    disabled, said = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stderr(said), warnings.catch_warnings():
            warnings.filterwarnings("ignore", _LSTM_REFRESHED)
            yield
    finally:
        logging.disable(disabled)
    sys.stderr.write(said.getvalue())
