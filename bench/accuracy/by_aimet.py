"""A run of AIMET's AdaScale (variant "adascale"), in fp32. Weights alone are quantized."""

from __future__ import annotations

import torch

from task import Method, decoder_linears  # isort: skip  it adds bench to the path

import aimet
from models import CausalLM
from transformers import AutoModelForCausalLM
from worker_aimet import keep_layers_in_blocks, trained_weights

OUTPUT_BITS = 16  # of activations: AIMET wants a number, and AdaScale quantizes none while it trains


def main() -> None:
    method = Method(["aimet-torch", "transformers"])
    task = method.task
    if task.group_size or not task.symmetric:
        raise SystemExit("AIMET's AdaScale is symmetric and per channel")
    if task.variant != "adascale":
        raise SystemExit(f"aimet has no variant {task.variant}")
    torch.manual_seed(task.seed)
    # AIMET's own configuration of attention is eager.
    loaded = AutoModelForCausalLM.from_pretrained(
        task.model, dtype=torch.float32, attn_implementation="eager"
    )
    model = CausalLM(loaded).eval()
    batches = [{"input_ids": rows} for rows in task.input_ids().split(task.samples)]
    optimizer = aimet.adascale_optimizer
    with method.timed():
        sim = aimet.QuantizationSimModel(
            model, tuple(batches[0].values()), default_param_bw=task.bits, default_output_bw=OUTPUT_BITS
        )
        blocks = optimizer.AdaScale._get_blocks(sim)
        keep_layers_in_blocks(sim, blocks)
        trained_weights(blocks)
        optimizer.AdaScale.apply_adascale(
            sim, batches, lambda model, batch: model(**batch), num_iterations=task.iterations
        )
        with torch.no_grad():
            weights = {
                f"{path}.weight": layer.param_quantizers["weight"](layer.weight).dequantize()
                for path, layer in decoder_linears(sim.model.lm).items()
            }
    method.give(weights)


if __name__ == "__main__":
    main()
