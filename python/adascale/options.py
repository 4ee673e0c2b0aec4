"""Keywords shared with the command and C++; their names, limits and help are only in C++."""

import os
from collections.abc import Mapping
from enum import Enum
from inspect import cleandoc
from typing import Any, TypedDict

import torch

Keyword = tuple[str, str, object, str]  # name, alias or "", default, help


class QuantScheme(Enum):
    """How ranges are found from values; the names are AIMET's.

    The ``training_range_learning`` schemes start from the same range as the ``post_training`` ones:
    post-training quantization has no later training in which they would differ.
    """

    post_training_tf = "post_training_tf"  # min-max
    post_training_tf_enhanced = "post_training_tf_enhanced"  # SQNR search
    post_training_percentile = "post_training_percentile"  # 99.99 %
    training_range_learning_with_tf_init = "training_range_learning_with_tf_init"
    training_range_learning_with_tf_enhanced_init = "training_range_learning_with_tf_enhanced_init"


class SimKeywords(TypedDict, total=False):
    """Keywords of :class:`QuantizationSimModel`; two spellings of one option stand side by side."""

    param_bw: int
    default_param_bw: int
    output_bw: int
    default_output_bw: int
    grid: str
    group_size: int
    decompressed_bw: int
    symmetric: bool
    scale_sign: str
    fold_batch_norms: bool
    device: torch.device | str
    config: str
    config_file: str | None


class AdaScaleKeywords(TypedDict, total=False):
    """Keywords of :func:`apply_adascale` beside ``num_epochs``; two spellings stand side by side."""

    epochs: int | None
    iterations: int | None
    num_iterations: int | None
    accumulate: int
    blocks: list[str] | None
    train_outside: bool
    recipe: str
    keep_better: bool
    held_out_batches: int
    precision: str
    activation_memory: int
    device_activation_memory: int | None
    deterministic: bool
    lr_scale: float
    seed: int
    checkpoint_dir: str | os.PathLike[str]
    resume: bool


class QuantizeKeywords(SimKeywords, AdaScaleKeywords, total=False):
    """Keywords of :func:`quantize`: the command's flags; two spellings stand side by side."""

    num_epochs: int | None
    scheme: str
    outside_bw: int
    target_bits: float
    target_size: str
    target_widths: list[float]
    encoding_version: str
    samples: int | None
    seq_len: int | None
    packing: str
    data_weights: list[float]
    batch_size: int | None


def keywords_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that are not None, as C++ reads them."""
    return {
        name: str(value) if isinstance(value, (torch.device, os.PathLike)) else value
        for name, value in options.items()
        if value is not None
    }


def document(docstring: str | None, rows: list[Keyword]) -> str:
    """A docstring with the options of C++'s table as its last section."""
    lines = [f"    {_describe(*row)}" for row in rows]
    return "\n".join([cleandoc(docstring or ""), "", "Keywords:", *lines])


def _describe(name: str, alias: str, default: object, text: str) -> str:
    other = f" (or {alias})" if alias else ""
    return f"{name}{other}: {text}; default {default!r}"
