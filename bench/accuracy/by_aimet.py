"""A run of AIMET, in fp32. Variants: "adascale", "adaround"."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import torch

from task import Method, Ranges, Task  # isort: skip  it adds bench to the path

import aimet
from kinds import KINDS, Kind
from torch import nn
from worker_aimet import keep_layers, trained_weights

Batches = list[dict[str, torch.Tensor]]
OUTPUT_BITS = 16  # of activations: AIMET wants a number, and quantizes none while it trains


def batch_of(rows: torch.Tensor, kind: Kind) -> dict[str, torch.Tensor]:
    return {kind.input: rows, **kind.aimet.more_inputs(rows)}


def simulate(task: Task, model: nn.Module, batches: Batches) -> aimet.QuantizationSimModel:
    """Keeps the quantizers of the layers that all methods quantize."""
    sim = aimet.QuantizationSimModel(
        model, tuple(batches[0].values()), default_param_bw=task.bits, default_output_bw=OUTPUT_BITS
    )
    layers = layers_in(task, sim.model).values()
    keep_layers(sim, layers)
    trained_weights(layers)
    if task.activation_bits:
        quantize_inputs(sim, layers, task.activation_bits)
    return sim


def quantize_inputs(sim: aimet.QuantizationSimModel, layers: Iterable[nn.Module], bits: int) -> None:
    """Of these layers, and no other activations."""
    for _, module in sim.named_qmodules():
        for quantizers in (module.input_quantizers, module.output_quantizers):
            for i in range(len(quantizers)):
                quantizers[i] = None
    for layer in layers:
        layer.input_quantizers[0] = aimet.QuantizeDequantize((), 0, 2**bits - 1, symmetric=False)


def ranges_of(task: Task, sim: aimet.QuantizationSimModel, batches: Batches) -> Ranges:
    """Of each layer's input, over all rows. sim.compute_encodings() would look at the weights too."""
    if not task.activation_bits:
        return {}
    quantizers = {path: layer.input_quantizers[0] for path, layer in layers_in(task, sim.model).items()}
    with ExitStack() as calibrating, torch.no_grad():
        for quantizer in quantizers.values():
            calibrating.enter_context(quantizer.compute_encodings())
        for batch in batches:
            sim.model(**batch)
    return {path: (one.get_scale().item(), -int(one.get_offset().item())) for path, one in quantizers.items()}


def layers_in(task: Task, model: nn.Module) -> dict[str, nn.Module]:
    return task.layers(model.get_submodule(KINDS[task.kind].aimet.inside))


def adascale(task: Task, model: nn.Module, batches: Batches) -> aimet.QuantizationSimModel:
    """Layers outside blocks are rounded to nearest."""
    optimizer = aimet.adascale_optimizer
    block = next(type(one) for one in model.modules() if type(one).__name__ == task.block)
    optimizer.adascale_model_config_dict[type(model)] = optimizer.AdaScaleModelConfig(block_type=block)
    sim = simulate(task, model, batches)
    optimizer.AdaScale.apply_adascale(
        sim, batches, lambda model, batch: model(**batch), num_iterations=task.iterations
    )
    return sim


def adaround(task: Task, model: nn.Module, batches: Batches) -> aimet.QuantizationSimModel:
    """Trains layer by layer. Each iteration takes 32 rows, however many a batch has."""
    params = aimet.AdaroundParameters(
        batches,
        len(batches),
        default_num_iterations=task.iterations,
        forward_fn=lambda model, batch: model(**batch),
    )
    kept = set(layers_in(task, model).values())
    left_out = [one for one in model.modules() if isinstance(one, nn.Conv2d | nn.Linear) and one not in kept]
    rounded = aimet.Adaround.apply_adaround(
        model,
        tuple(batches[0].values()),
        params,
        path=task.out,
        filename_prefix="adaround",
        default_param_bw=task.bits,
        ignore_quant_ops_list=left_out,
    )
    sim = simulate(task, rounded, batches)
    sim.set_and_freeze_param_encodings(str(Path(task.out) / "adaround.encodings"))
    return sim


VARIANTS = {"adascale": adascale, "adaround": adaround}


def main() -> None:
    method = Method(["aimet-torch"])
    task = method.task
    if task.group_size or not task.symmetric:
        raise SystemExit("AIMET's grids here are symmetric and per channel")
    if task.variant not in VARIANTS:
        raise SystemExit(f"aimet has no variant {task.variant}")
    torch.manual_seed(task.seed)
    kind = KINDS[task.kind]
    model = kind.aimet.wrap(task.load_model(**kind.aimet.load)).eval()
    batches = [batch_of(rows, kind) for rows in task.load_rows().split(task.samples)]
    with method.timed():
        sim = VARIANTS[task.variant](task, model, batches)
        with torch.no_grad():
            weights = {
                f"{path}.weight": layer.param_quantizers["weight"](layer.weight).dequantize()
                for path, layer in layers_in(task, sim.model).items()
            }
        inputs = ranges_of(task, sim, batches)
    method.give(weights, inputs=inputs)


if __name__ == "__main__":
    main()
