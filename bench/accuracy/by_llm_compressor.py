"""A run of llm-compressor's GPTQ, in fp32. Variant "actorder_weight": columns are quantized in the order of
their activations and stay where they are."""

from __future__ import annotations

from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from task import Method, Task
from torch.utils.data import DataLoader
from transformers import AutoTokenizer


def recipe_of(task: Task) -> GPTQModifier:
    grid = {
        "num_bits": task.bits,
        "symmetric": task.symmetric,
        "strategy": "group" if task.group_size else "channel",
        "group_size": task.group_size or None,
    }
    layers = {"targets": ["Linear"], "weights": grid}
    return GPTQModifier(config_groups={"layers": layers}, ignore=["lm_head"], actorder="weight")


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
    method.give({f"{path}.weight": layer.weight for path, layer in task.layers(model).items()})


if __name__ == "__main__":
    main()
