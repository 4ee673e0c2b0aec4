"""Times AIMET on one workload. Runs in the environment that holds AIMET."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import aimet
import torch
import worker
from models import Stack
from workloads import Batch, Workload


def trained_weights(blocks: Iterable[torch.nn.Module]) -> list[torch.nn.Module]:
    """The weight quantizers that AdaScale trains, which must be per channel and symmetric as ours are."""
    layers = [module for block in blocks for module in block.modules() if hasattr(module, "param_quantizers")]
    layers = [layer for layer in layers if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)]
    for layer in layers:
        quantizer = layer.param_quantizers["weight"]
        if not quantizer.symmetric or quantizer.shape[0] != layer.weight.shape[0]:
            raise RuntimeError(f"AIMET quantizes otherwise than we do: {quantizer}")
    return [layer.param_quantizers["weight"] for layer in layers]


def keep_layers(sim: aimet.QuantizationSimModel, parts: Iterable[torch.nn.Module]) -> None:
    """Only weights of Linear and Conv2d layers in these parts stay quantized, as in our runs."""
    inside = {module for part in parts for module in part.modules()}
    for _, module in sim.named_qmodules():
        for name in module.param_quantizers:
            layer = module in inside and isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
            if not layer or name != "weight":
                module.param_quantizers[name] = None


def simulate(workload: Workload, args: argparse.Namespace) -> worker.Train:
    optimizer = aimet.adascale_optimizer
    optimizer.adascale_model_config_dict[Stack] = optimizer.AdaScaleModelConfig(block_type=workload.block)
    dummy = tuple(workload.batches[0].values())
    sim = aimet.QuantizationSimModel(workload.model, dummy, default_param_bw=args.bits, default_output_bw=16)
    blocks = optimizer.AdaScale._get_blocks(sim)
    keep_layers(sim, blocks)
    weights = trained_weights(blocks)
    bits = {weight.bitwidth for weight in weights}

    def weights_only(**batch: torch.Tensor) -> torch.Tensor:
        with aimet.remove_activation_quantizers(sim.model):
            return sim.model(**batch)

    def train(batches: list[Batch], iterations: int) -> worker.Trained:
        optimizer.AdaScale.apply_adascale(
            sim, batches, lambda model, batch: model(**batch), num_iterations=iterations
        )
        if bits != {args.bits}:
            raise RuntimeError(f"expected {args.bits} bits everywhere, got {bits}")
        return worker.Trained(weights_only, len(blocks), len(weights), args.bits, len(blocks))

    return train


def main() -> None:
    parser = worker.arguments(__doc__)
    parser.set_defaults(attention="eager")
    worker.run(simulate, parser.parse_args(), ["torch", "aimet-torch"])


if __name__ == "__main__":
    main()
