"""A run of AIMET's AdaScale (variant "adascale"), in fp32. Weights alone are quantized."""

from __future__ import annotations

import torch

from task import KINDS, Method  # isort: skip  it adds bench to the path

import aimet
from models import CausalLM, Encoder
from worker_aimet import keep_layers_in_blocks, trained_weights

# How AIMET is given a model of each kind, and where in it the model is.
WRAPPERS = {"decoder": (CausalLM, "lm"), "encoder": (Encoder, "bert")}
OUTPUT_BITS = 16  # of activations: AIMET wants a number, and AdaScale quantizes none while it trains


def batch_of(rows: torch.Tensor, kind: str) -> dict[str, torch.Tensor]:
    """An encoder gets its mask: AIMET traces models, which transformers' mask builder does not survive."""
    if kind == "decoder":
        return {"input_ids": rows}
    samples, tokens = rows.shape
    return {"input_ids": rows, "attention_mask": torch.zeros(samples, 1, tokens, tokens)}


def main() -> None:
    method = Method(["aimet-torch", "transformers"])
    task = method.task
    if task.group_size or not task.symmetric:
        raise SystemExit("AIMET's AdaScale is symmetric and per channel")
    if task.variant != "adascale":
        raise SystemExit(f"aimet has no variant {task.variant}")
    torch.manual_seed(task.seed)
    wrapper, inside = WRAPPERS[task.kind]
    # AIMET's own configuration of attention is eager.
    loaded = task.load_model(attn_implementation="eager")
    model = wrapper(loaded).eval()
    batches = [batch_of(rows, task.kind) for rows in task.input_ids().split(task.samples)]
    optimizer = aimet.adascale_optimizer
    block = next(type(one) for one in loaded.modules() if type(one).__name__ == KINDS[task.kind].block)
    optimizer.adascale_model_config_dict[wrapper] = optimizer.AdaScaleModelConfig(block_type=block)
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
                for path, layer in task.layers(getattr(sim.model, inside)).items()
            }
    method.give(weights)


if __name__ == "__main__":
    main()
