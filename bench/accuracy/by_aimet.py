"""A run of AIMET, in fp32. Weights alone are quantized. Variants: "adascale", "adaround"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from task import KINDS, Method, Task  # isort: skip  it adds bench to the path

import aimet
from models import CausalLM, Encoder
from torch import nn
from worker_aimet import keep_layers, trained_weights

Batches = list[dict[str, torch.Tensor]]
# How AIMET is given a model of each kind, and where in it the model is.
WRAPPERS: dict[str, tuple[Callable[[Any], nn.Module], str]] = {
    "decoder": (CausalLM, "lm"),
    "encoder": (Encoder, "bert"),
    "classifier": (lambda model: model, ""),
}
OUTPUT_BITS = 16  # of activations: AIMET wants a number, and quantizes none while it trains


def batch_of(rows: torch.Tensor, kind: str) -> dict[str, torch.Tensor]:
    """An encoder gets its mask: AIMET traces models, which transformers' mask builder does not survive."""
    batch = {KINDS[kind].input: rows}
    if kind == "encoder":
        samples, tokens = rows.shape
        batch["attention_mask"] = torch.zeros(samples, 1, tokens, tokens)
    return batch


def simulate(task: Task, model: nn.Module, batches: Batches) -> aimet.QuantizationSimModel:
    """Keeps the quantizers of the layers that all methods quantize."""
    sim = aimet.QuantizationSimModel(
        model, tuple(batches[0].values()), default_param_bw=task.bits, default_output_bw=OUTPUT_BITS
    )
    layers = layers_in(task, sim.model).values()
    keep_layers(sim, layers)
    trained_weights(layers)
    return sim


def layers_in(task: Task, model: nn.Module) -> dict[str, nn.Module]:
    return task.layers(model.get_submodule(WRAPPERS[task.kind][1]))


def adascale(task: Task, model: nn.Module, batches: Batches) -> aimet.QuantizationSimModel:
    """Layers outside blocks are rounded to nearest."""
    optimizer = aimet.adascale_optimizer
    block = next(type(one) for one in model.modules() if type(one).__name__ == KINDS[task.kind].block)
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
    # AIMET's own configuration of attention is eager.
    options = {} if task.kind == "classifier" else {"attn_implementation": "eager"}
    model = WRAPPERS[task.kind][0](task.load_model(**options)).eval()
    batches = [batch_of(rows, task.kind) for rows in task.load_rows().split(task.samples)]
    with method.timed():
        sim = VARIANTS[task.variant](task, model, batches)
        with torch.no_grad():
            weights = {
                f"{path}.weight": layer.param_quantizers["weight"](layer.weight).dequantize()
                for path, layer in layers_in(task, sim.model).items()
            }
    method.give(weights)


if __name__ == "__main__":
    main()
