"""A model with simulated quantization."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import nn

from . import _C
from .capture import capture
from .errors import Error
from .options import QuantScheme, SimKeywords, document
from .signature import call_of
from .simulated_model import SimulatedModel, show_folded_weights

_NOT_GIVEN: Any = object()


class QuantizationSimModel:
    """Simulates ``model`` with quantized weights and activations; ``sim.model`` runs it.

    model: any ``nn.Module`` that ``torch.export`` accepts; captured in eval mode and put back.
    dummy_input: an example of its input: a tensor, a tuple or list of positional arguments, or a dict of
        named ones. Later inputs may have other sizes wherever the model allows it.
    quant_scheme: how ranges are found, a :class:`QuantScheme` or its name.
    in_place: fold quantized weights into the model's own tensors; otherwise the model stays as it is, and its
        weights are shared until they are folded: editing one meanwhile is refused at the next call.
    layer_config: a glob over module names, or a layer kind such as ``"Embedding"``, to that layer's settings
        (``param_bw``, ``group_size``, ``decompressed_bw``, ``symmetric``, ``per_channel``, ``output_bw``);
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
        layer_config: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Unpack[SimKeywords],
    ) -> None:
        scheme = quant_scheme.value if isinstance(quant_scheme, QuantScheme) else quant_scheme
        layers = json.dumps(layer_config or {})
        keywords = {name: value for name, value in options.items() if value is not None}
        _C.check_sim_options(scheme, layers, in_place, keywords)  # before the capture, which may take long
        with torch.inference_mode(False):  # what is made under it could not be trained on
            captured = capture(model, dummy_input)
            self._core = _C.Sim(captured.graph, captured.tensors, scheme, layers, in_place, keywords)
            self.model = SimulatedModel(model, captured, self._core)
        self._signature = captured.signature

    def compute_encodings(
        self,
        forward_pass: Callable[..., Any] | None = None,
        args: Any = _NOT_GIVEN,
        *,
        forward_pass_callback: Callable[..., Any] | None = None,
        forward_pass_callback_args: Any = _NOT_GIVEN,
    ) -> None:
        """Runs ``forward_pass(sim.model, args)`` and sets the activations' encodings from what it saw.

        Without ``args``: ``forward_pass(sim.model)``. The ``forward_pass_callback`` names are AIMET's for
        the same two. Weights are frozen from then on. When the pass raises, the simulation is as before.
        """
        run = _one_of("forward_pass", forward_pass, "forward_pass_callback", forward_pass_callback, None)
        given = _one_of("args", args, "forward_pass_callback_args", forward_pass_callback_args, _NOT_GIVEN)
        if not callable(run):
            raise TypeError(
                "compute_encodings: forward_pass is missing: a function that calls the model it is given"
            )
        self._core.begin_calibration()
        try:
            run(self.model) if given is _NOT_GIVEN else run(self.model, given)
            self._core.end_calibration()
        except BaseException:
            self._core.abort_calibration()
            raise
        show_folded_weights(self.model)

    def export(
        self,
        path: str | os.PathLike[str],
        filename_prefix: str,
        dummy_input: Any = None,
        *,
        formats: Sequence[str] = ("pt2", "safetensors", "encodings"),
        encoding_version: str = "1.0.0",
    ) -> list[str]:
        """Writes the formats into the folder ``path``, made if missing, all or none; returns their paths.

        dummy_input: not needed; its arguments' names and kinds are checked against the captured ones.
        formats: names as ``adascale list formats`` shows them.
        encoding_version: "1.0.0" or "0.6.1".
        Raises :class:`adascale.Error` before anything is written.
        """
        if isinstance(formats, str):
            raise Error(f"export: formats: got the string {formats!r}, expected a list such as [{formats!r}]")
        if dummy_input is not None:
            self._signature.flatten(*call_of(dummy_input))
        return self._core.export(os.fspath(path), filename_prefix, list(formats), encoding_version)

    def __repr__(self) -> str:
        return self._core.describe().rstrip()


def _one_of(name: str, value: Any, other_name: str, other: Any, missing: Any) -> Any:
    if value is not missing and other is not missing:
        raise TypeError(f"compute_encodings: {name} and {other_name} are one argument; give one of them")
    return other if value is missing else value


QuantizationSimModel.__doc__ = document(QuantizationSimModel.__doc__, _C.sim_keywords())
