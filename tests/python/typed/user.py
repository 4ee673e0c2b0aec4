"""A user's script, for ``mypy --strict`` alone: every public name with its types."""

from pathlib import Path

import torch
from torch import Tensor, nn

import adascale
from adascale import (
    AdaScaleReport,
    Error,
    QuantizationSimModel,
    QuantScheme,
    apply_adascale,
    default_forward_fn,
)


def quantize(model: nn.Module, batches: list[Tensor], folder: Path) -> float:
    sim = QuantizationSimModel(
        model,
        dummy_input=batches[0],
        quant_scheme=QuantScheme.training_range_learning_with_tf_init,
        default_param_bw=4,
        default_output_bw=16,
        layer_config={"Embedding": {"param_bw": 32}},
    )
    report: AdaScaleReport = apply_adascale(sim, batches, default_forward_fn, num_epochs=1, recipe="fast")
    sim.compute_encodings(lambda quantized, _: quantized(batches[0]), None)
    y: Tensor = sim.model(batches[0])
    paths = sim.export(str(folder), "model", dummy_input=batches[0])
    print(y.shape, paths, report.recipe, adascale.__version__, adascale.cmake_prefix_path)
    return sum(block.loss_after for block in report.blocks) + sum(
        layer.sqnr_db for block in report.blocks for layer in block.layers
    )


def one_call(folder: Path) -> AdaScaleReport | None:
    try:
        return adascale.quantize("model", folder, ["text.txt"], param_bw=4, group_size=32, formats=["hf"])
    except Error as error:
        print(error)
        return None


def shared() -> None:
    with adascale.together():
        print(torch.__version__)
