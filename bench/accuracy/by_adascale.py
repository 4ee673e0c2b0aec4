"""A weight-only run of adascale: the variant is the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gguf_file import GgufNames, count_bytes, read_weights
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


def run(task: Task, model: Any, batches: Batches, **options: Any) -> Path:
    """The file of a whole run, for what the simulation alone does not decide."""
    out = Path(task.out) / "files"
    adascale.quantize(
        model,
        out,
        batches,
        batch_size=task.samples,
        recipe=task.variant,
        seed=task.seed,
        progress=False,
        **options,
    )
    (file,) = (path for path in out.iterdir() if path.suffix in (".safetensors", ".gguf"))
    return file


def options_of(task: Task) -> dict[str, Any]:
    """Of a run."""
    if task.target_bits:
        return {
            "formats": ["safetensors"],
            "target_bits": task.target_bits,
            "group_size": task.group_size,
            "symmetric": task.symmetric,
        }
    none = {"param_bw": 32}
    return {
        "formats": [f"gguf:{task.gguf}"],
        "device": task.device,
        # The last that fits a layer counts.
        "layer_config": {"*": none} | {task.only: {"param_bw": task.bits}} | {KINDS[task.kind].outside: none},
    }


def main() -> None:
    method = Method(["adascale"])
    task = method.task
    model = task.load_model().to(task.device)
    if hasattr(model, "config"):  # of transformers
        model.config.use_cache = False
    batches = [{KINDS[task.kind].input: rows} for rows in task.load_rows().split(task.samples)]
    budget = {"num_iterations": task.iterations} if task.iterations else {}
    layers = list(task.layers(model))
    if task.gguf:  # which reads the folder itself
        names = GgufNames(model.config)
        del model
        with method.timed():
            file = run(task, task.model, batches, **options_of(task), **budget)
        method.give(read_weights(file, layers), count_bytes(file, map(names.weight, layers)))
        return
    with method.timed():
        if task.target_bits:
            weights = load_file(run(task, model, batches, **options_of(task), **budget))
        else:
            weights = simulate(task, model, batches, budget)
    method.give({f"{path}.weight": weights[f"{path}.weight"] for path in layers})


if __name__ == "__main__":
    main()
