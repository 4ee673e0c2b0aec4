"""A weight-only run of adascale: the variant is the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from gguf_file import GgufNames, count_bytes, read_weights
from kinds import KINDS
from safetensors.torch import load_file
from task import Method, Ranges, Task
from torch import Tensor, nn

import adascale

Batches = list[dict[str, Tensor]]
Weights = dict[str, Tensor]


def grid_of(task: Task) -> dict[str, Any]:
    if task.floats:
        return {"grid": task.floats}
    # As quantize() decides: hf, compressed-tensors, gptq and gguf hold scales of either sign, encodings and
    # onnx, which hold ranges of activations, positive ones.
    sign = "positive" if task.activation_bits else "any"
    return {"group_size": task.group_size, "symmetric": task.symmetric, "scale_sign": sign}


def simulate(task: Task, model: Any, batches: Batches, budget: dict[str, int]) -> tuple[Weights, Ranges]:
    kind = KINDS[task.kind]
    inputs = {"input_bw": task.activation_bits}
    activations = dict.fromkeys(task.layers(model), inputs) if task.activation_bits else {}
    sim = adascale.QuantizationSimModel(
        model,
        batches[0],
        in_place=task.variant != "best",  # whose last stage needs the full-precision weights
        default_param_bw=task.bits,
        default_output_bw=32,
        **grid_of(task),
        layer_config=activations | {kind.outside: {"param_bw": 32}},
    )
    adascale.apply_adascale(
        sim,
        batches,
        train_outside=kind.trains_outside,
        recipe=task.variant,
        seed=task.seed,
        progress=False,
        **budget,
    )
    ranges = ranges_of(task, sim, model, batches) if task.activation_bits else {}
    return sim.model.state_dict(), ranges


def ranges_of(task: Task, sim: adascale.QuantizationSimModel, model: nn.Module, batches: Batches) -> Ranges:
    """Of each layer's input, over all rows. Those that read one tensor share its range, which the file names
    at one of them."""

    def calibrate(simulated: nn.Module) -> None:
        for batch in batches:
            simulated(**batch)

    layers = task.layers(model)
    with torch.no_grad():
        sim.compute_encodings(calibrate)
        read = inputs_of(model, layers, batches[0])
    sim.export(task.out, "inputs", formats=["encodings"], encoding_version="0.6.1")
    file = json.loads((Path(task.out) / "inputs_torch.encodings").read_text())["activation_encodings"]
    named = {path: file[path]["input"]["0"] for path in layers if "input" in file.get(path, {})}
    ranges: Ranges = {}
    for path in layers:
        found = [one for at, one in named.items() if read[at] is read[path]]
        if [(one["bitwidth"], one["is_symmetric"]) for one in found] != [(task.activation_bits, "False")]:
            raise RuntimeError(f"{path}: its input has the ranges {found}, expected an asymmetric one")
        ranges[path] = (found[0]["scale"], -found[0]["offset"])
    return ranges


def inputs_of(model: nn.Module, layers: dict[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What each layer reads of a batch."""
    device = next(model.parameters()).device
    found: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _, values, path=path: found.update({path: values[0]}))
        for path, layer in layers.items()
    ]
    model(**{name: values.to(device) for name, values in batch.items()})
    for hook in hooks:
        hook.remove()
    return found


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
    if task.target_bits:
        mean = json.loads((out / "report.json").read_text())["bits"]["mean_bits"]
        assert mean <= task.target_bits, f"a mean of {mean} bits, more than {task.target_bits}"
    (file,) = (path for path in out.iterdir() if path.suffix in (".safetensors", ".gguf"))
    return file


def options_of(task: Task) -> dict[str, Any]:
    """Of a run."""
    kind = KINDS[task.kind]
    none = {"param_bw": 32}
    if task.target_bits:
        return {
            "formats": ["safetensors"],
            "target_bits": task.target_bits,
            "group_size": task.group_size,
            "symmetric": task.symmetric,
            "train_outside": kind.trains_outside,
            "layer_config": {kind.outside: none},
        }
    return {
        "formats": [f"gguf:{task.gguf}"],
        "device": task.device,
        # The last that fits a layer counts.
        "layer_config": {"*": none} | {task.only: {"param_bw": task.bits}} | {kind.outside: none},
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
            weights, inputs = load_file(run(task, model, batches, **options_of(task), **budget)), None
        else:
            weights, inputs = simulate(task, model, batches, budget)
    method.give({f"{path}.weight": weights[f"{path}.weight"] for path in layers}, inputs=inputs)


if __name__ == "__main__":
    main()
