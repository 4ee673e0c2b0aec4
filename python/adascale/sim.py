"""A model with simulated quantization."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from . import _C
from .capture import Capture, ExportError, capture, check_example
from .errors import Error
from .live_sim import LiveSim
from .options import QuantScheme, SimKeywords, document, keywords_of
from .signature import CallSignature, call_of
from .simulated_model import SimulatedModel, show_folded_weights

_NOT_GIVEN: Any = object()
_LIVE_FORMATS = ("safetensors", "encodings")  # those of a model without a program of the whole


class QuantizationSimModel:
    """Simulates ``model`` with quantized weights and activations; ``sim.model`` runs it.

    model: any ``nn.Module`` that ``torch.export`` accepts, whole or block by block; captured in eval mode
        and restored.
    dummy_input: an example of its input: a tensor, a tuple or list of positional arguments, or a dict of
        named ones. Later inputs may have other sizes wherever the model allows it.
    quant_scheme: how ranges are found, a :class:`QuantScheme` or its name.
    device: where it is computed, a ``torch.device`` or its name; ``"auto"``: where the parameters are.
        Inputs of any device are moved there, outputs stay there. The parameters stay where they are:
        those elsewhere are copied when they are read.
    in_place: fold quantized weights into the model's own tensors; otherwise the model stays unchanged,
        and its weights are shared until they are folded: after an edit of one the next call raises.
    blocks: globs over module names: simulate only these modules, block by block, and do not capture the
        whole. Without it this is done, with the blocks found, for a model that ``torch.export`` refuses as a
        whole; a warning says so, and ``print(sim)`` lists the modules left in full precision.
    layer_config: a glob over module names, or a layer kind such as ``"Embedding"``, to that layer's settings
        (``param_bw``, ``grid``, ``group_size``, ``decompressed_bw``, ``symmetric``, ``per_channel``,
        ``trained``, ``output_bw``, ``output_symmetric``, ``input_bw``, ``input_symmetric``);
        later entries win.

    Raises :class:`adascale.Error` with all objections in one line; ``TypeError`` for unknown keywords.
    """

    def __init__(
        self,
        model: nn.Module,
        dummy_input: Any,
        quant_scheme: QuantScheme | str = QuantScheme.post_training_tf,
        *,
        in_place: bool = False,
        blocks: Sequence[str] | None = None,
        layer_config: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Unpack[SimKeywords],
    ) -> None:
        scheme = quant_scheme.value if isinstance(quant_scheme, QuantScheme) else quant_scheme
        layers = json.dumps(layer_config or {})
        blocks = _pattern_list(blocks)
        settings = _C.SimOptions(scheme, layers, in_place, keywords_of(options))  # before the capture

        def simulate(captured: Capture, is_part: bool) -> _C.Sim:
            return _C.Sim(captured.graph, captured.tensors, settings, is_part)

        with torch.inference_mode(False):  # tensors made under it could not be trained on
            whole = _capture_whole(model, dummy_input, blocks)
            if isinstance(whole, Capture):
                self._simulate_whole(model, whole, simulate(whole, False))
            else:
                try:
                    self._simulate_blocks(model, dummy_input, str(whole), in_place, blocks, simulate)
                    self._live.parts.check_patterns(list(layer_config or {}))
                except Error as error:
                    raise error from (error.__cause__ or whole.__cause__)

    def _simulate_whole(self, model: nn.Module, captured: Capture, core: _C.Sim) -> None:
        self._core: _C.Sim | LiveSim = core
        self._quantizers: _C.Sim | _C.PartedModel = core  # to calibrate and to describe
        self.model: nn.Module = SimulatedModel(model, captured, core)
        self._signature: CallSignature | None = captured.signature
        self._show_folded_weights = partial(show_folded_weights, self.model, [core])

    def _simulate_blocks(
        self,
        model: nn.Module,
        dummy_input: Any,
        refusal: str,
        in_place: bool,
        blocks: list[str] | None,
        simulate: Callable[[Capture, bool], _C.Sim],
    ) -> None:
        if in_place:
            raise Error(
                f"{refusal}; block by block, {_C.option('in_place')} would overwrite the weights that the "
                "blocks are trained towards; leave it out"
            )
        live = LiveSim(model, call_of(dummy_input), refusal, lambda block: simulate(block, True), blocks)
        self._core = self._live = live
        self._quantizers = live.parts
        self.model = live.model
        self._signature = None
        self._show_folded_weights = live.show_folded_weights

    @property
    def device(self) -> torch.device:
        """The device of ``sim.model``: inputs are moved there, outputs are there."""
        return torch.device(self._core.device)

    def compute_encodings(
        self,
        forward_pass: Callable[..., Any] | None = None,
        args: Any = _NOT_GIVEN,
        *,
        forward_pass_callback: Callable[..., Any] | None = None,
        forward_pass_callback_args: Any = _NOT_GIVEN,
    ) -> None:
        """Runs ``forward_pass(sim.model, args)`` and sets the activations' encodings from the values seen.

        Without ``args``: ``forward_pass(sim.model)``. The ``forward_pass_callback`` names are AIMET's for
        the same two. Weights are frozen from then on. Quantizers that no values reached are off, and the
        log names them. When the pass raises, the simulation is unchanged.
        """
        run = _one_of("forward_pass", forward_pass, "forward_pass_callback", forward_pass_callback, None)
        given = _one_of("args", args, "forward_pass_callback_args", forward_pass_callback_args, _NOT_GIVEN)
        if not callable(run):
            raise TypeError(
                "compute_encodings: forward_pass is missing: a function that calls the model it is given"
            )
        self._quantizers.begin_calibration()
        try:
            run(self.model) if given is _NOT_GIVEN else run(self.model, given)
            self._quantizers.end_calibration()
        except BaseException:
            self._quantizers.abort_calibration()
            raise
        self._show_folded_weights()

    def load_encodings(
        self,
        encodings: Mapping[str, Any] | str | os.PathLike[str],
        strict: bool = True,
        partial: bool = True,
        *,
        allow_overwrite: bool = True,
        names: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Sets weights and activations from an encodings file, AIMET's or ours; returns ignored entries.

        encodings: a path, or the file's content: versions 0.6.1, 1.0.0, 2.0.0 and 2.1.0, with the names of
            modules (``*_torch.encodings``) or of an exported program's tensors.
        strict: names that the model does not have, and entries without a quantizer, raise; else they are
            ignored.
        partial: quantizers without an entry stay unchanged. Otherwise they raise or, not strict, are turned
            off.
        allow_overwrite: activations may be overwritten by ``compute_encodings``, both by another file.
        names: the file's names, where they are not the model's, to ours: a parameter, model input, value of
            the program or module.

        Weights get the file's bits, symmetry, granularity and scales, their codes by rounding the
        original weights; they are frozen from then on, for ``apply_adascale`` too. Activations get the
        file's bits, symmetry, scale and offset; when all have, the simulation counts as calibrated.
        Raises :class:`adascale.Error` with all objections in one line; the simulation is then unchanged.
        """
        text, origin = _encodings_text(encodings)
        parts = [(self._core, "")] if isinstance(self._core, _C.Sim) else self._core.cores
        passed_over = _C.load_encodings(
            parts, text, origin, strict, partial, allow_overwrite, dict(names or {})
        )
        self._show_folded_weights()
        return passed_over

    def export(
        self,
        path: str | os.PathLike[str],
        filename_prefix: str,
        dummy_input: Any = None,
        *,
        formats: Sequence[str] | None = None,
        encoding_version: str = "1.0.0",
    ) -> list[str]:
        """Writes the formats into the folder ``path``, made if missing, all or none; returns their paths.

        dummy_input: not needed; its arguments' names and kinds are checked against the captured ones.
        formats: names as ``adascale list formats`` shows them; None for pt2, safetensors and encodings,
            or, for a model simulated block by block, which has no whole program, the last two.
        encoding_version: of the encodings: "0.6.1", "1.0.0", "2.0.0" or "2.1.0".
        Raises :class:`adascale.Error` before anything is written.
        """
        if isinstance(formats, str):
            raise Error(f"export: formats: got the string {formats!r}, expected a list such as [{formats!r}]")
        if formats is None:
            formats = _LIVE_FORMATS if self._signature is None else ("pt2", *_LIVE_FORMATS)
        if dummy_input is not None and self._signature is not None:
            self._signature.flatten(*call_of(dummy_input))
        return self._core.export(os.fspath(path), filename_prefix, list(formats), encoding_version)

    def __repr__(self) -> str:
        return self._quantizers.describe().rstrip()


def _encodings_text(encodings: Any) -> tuple[str, str]:
    """The file's text, and its name in messages."""
    if isinstance(encodings, Mapping):
        return json.dumps(encodings), "encodings"
    if not isinstance(encodings, (str, os.PathLike)):
        raise Error(f"load_encodings: got {type(encodings).__name__}, expected a path or the file's content")
    path = os.fspath(encodings)
    try:
        return Path(path).read_text(encoding="utf-8"), path
    except UnicodeDecodeError as error:
        raise Error(f"{path}: not valid JSON: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise Error(f"{path}: cannot be read: {error.strerror}; expected an encodings file") from error


def _pattern_list(blocks: Sequence[str] | None) -> list[str] | None:
    if blocks is None:
        return None
    if isinstance(blocks, str) or not blocks or not all(isinstance(pattern, str) for pattern in blocks):
        raise Error(f"QuantizationSimModel: blocks: got {blocks!r}, expected a list of globs")
    return list(blocks)


def _capture_whole(model: nn.Module, dummy_input: Any, blocks: list[str] | None) -> Capture | Error:
    """The model's program, or the reason why there is none."""
    check_example(model, dummy_input)
    if blocks is not None:
        return Error(f"not captured whole, as {_C.option('blocks')} asks")
    try:
        return capture(model, dummy_input)
    except ExportError as error:
        return error


def _one_of(name: str, value: Any, other_name: str, other: Any, missing: Any) -> Any:
    if value is not missing and other is not missing:
        raise TypeError(f"compute_encodings: {name} and {other_name} are one argument; give one of them")
    return other if value is missing else value


QuantizationSimModel.__doc__ = document(QuantizationSimModel.__doc__, _C.sim_keywords())
