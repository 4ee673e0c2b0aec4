"""A weight-only run of adascale: the variant is the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kinds import KINDS
from safetensors.torch import load_file
from task import Method, Task
from torch import Tensor

import adascale

Batches = list[dict[str, Tensor]]
Weights = dict[str, Tensor]


def simulate(task: Task, model: Any, batches: Batches, budget: dict[str, int]) -> Weights:
    sim = adascale.QuantizationSimModel(
        model,
        batches[0],
        in_place=task.variant != "best",  # whose last stage needs the full-precision weights
        default_param_bw=task.bits,
        default_output_bw=32,
        group_size=task.group_size,
        symmetric=task.symmetric,
        scale_sign="any",  # as quantize() decides for hf, compressed-tensors, gptq and gguf
        layer_config={KINDS[task.kind].outside: {"param_bw": 32}},
    )
    adascale.apply_adascale(
        sim,
        batches,
        train_outside=KINDS[task.kind].trains_outside,
        recipe=task.variant,
        seed=task.seed,
        progress=False,
        **budget,
    )
    weights: Weights = sim.model.state_dict()
    return weights


def quantize(task: Task, model: Any, batches: Batches, budget: dict[str, int]) -> Weights:
    """Chooses each layer's bits, which the simulation alone does not."""
    out = Path(task.out) / "files"
    adascale.quantize(
        model,
        out,
        batches,
        formats=["safetensors"],
        target_bits=task.target_bits,
        batch_size=task.samples,
        group_size=task.group_size,
        symmetric=task.symmetric,
        recipe=task.variant,
        seed=task.seed,
        progress=False,
        **budget,
    )
    (file,) = out.glob("*.safetensors")
    return load_file(file)


def main() -> None:
    method = Method(["adascale"])
    task = method.task
    model = task.load_model().to(task.device)
    if hasattr(model, "config"):  # of transformers
        model.config.use_cache = False
    batches = [{KINDS[task.kind].input: rows} for rows in task.load_rows().split(task.samples)]
    budget = {"num_iterations": task.iterations} if task.iterations else {}
    with method.timed():
        weights = (quantize if task.target_bits else simulate)(task, model, batches, budget)
    method.give({f"{path}.weight": weights[f"{path}.weight"] for path in task.layers(model)})


if __name__ == "__main__":
    main()
