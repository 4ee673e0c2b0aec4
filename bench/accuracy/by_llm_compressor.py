"""A run of llm-compressor's GPTQ, in fp32. Variant "actorder_weight": columns are quantized in the order of
their activations and stay where they are."""

from __future__ import annotations

import torch
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from task import Method, Ranges, Task
from torch.utils.data import DataLoader
from transformers import AutoTokenizer


def recipe_of(task: Task) -> GPTQModifier:
    if task.floats:
        scheme = f"{task.floats.upper()}A16"
        return GPTQModifier(targets=["Linear"], scheme=scheme, ignore=["lm_head"], actorder="weight")
    grid = {
        "num_bits": task.bits,
        "symmetric": task.symmetric,
        "strategy": "group" if task.group_size else "channel",
        "group_size": task.group_size or None,
    }
    layers = {"targets": ["Linear"], "weights": grid}
    if task.activation_bits:
        layers["input_activations"] = {
            "num_bits": task.activation_bits,
            "symmetric": False,
            "strategy": "tensor",
            "dynamic": False,
            # Of all rows, as the others. By default it is a moving mean over batches of one in a hundred.
            "observer": "static_minmax",
        }
    return GPTQModifier(config_groups={"layers": layers}, ignore=["lm_head"], actorder="weight")


def ranges_of(task: Task, layers: dict[str, torch.nn.Module]) -> Ranges:
    """Of each layer's input. llm-compressor's codes begin below zero."""
    if not task.activation_bits:
        return {}
    lowest = -(2 ** (task.activation_bits - 1))
    return {
        path: (layer.input_scale.item(), int(layer.input_zero_point.item()) - lowest)
        for path, layer in layers.items()
    }


def main() -> None:
    method = Method(["llmcompressor", "compressed-tensors"])
    task = method.task
    if task.variant != "actorder_weight":
        raise SystemExit(f"llm_compressor has no variant {task.variant}")
    model = task.load_model()
    tokenizer = AutoTokenizer.from_pretrained(task.model)  # must be given; token ids are not tokenized again
    batches = DataLoader([{"input_ids": row} for row in task.load_rows()], batch_size=task.samples)
    with method.timed():
        oneshot(
            model=model,
            processor=tokenizer,
            dataset=batches,
            recipe=recipe_of(task),
            sequential_targets=[task.block],
        )
    layers = task.layers(model)
    method.give(
        {f"{path}.weight": layer.weight for path, layer in layers.items()}, inputs=ranges_of(task, layers)
    )


if __name__ == "__main__":
    main()
