"""A run of AutoRound. Variants: "default", as it comes; "alg_ext", with its extension of the algorithm."""

from __future__ import annotations

import torch
from auto_round import AutoRound
from task import Method, Task
from transformers import AutoTokenizer

DATA_TYPES = {"": "int", "mxfp4": "mx_fp", "nvfp4": "nv_fp"}


def exported(layer: torch.nn.Linear, task: Task) -> torch.Tensor:
    """The weight as an exported model has it. Tuning leaves it rounded to the bf16 that it computes in.
    Integers are found again, times their scales of fp16; floats of 4 bits stay rounded, by 2^-9 at most."""
    if task.floats:
        return layer.weight
    groups = layer.weight.detach().float().unflatten(1, (-1, task.group_size or layer.in_features))
    scales = layer.scale.float()[..., None]
    return ((groups / scales).round() * scales).flatten(1)


def rows_of(task: Task, padding: int | None) -> torch.Tensor:
    """AutoRound masks each row's last token, which an encoder's others would see: there it gets one more."""
    rows = task.load_rows()
    if task.kind == "decoder":
        return rows
    assert padding is not None
    return torch.cat([rows, torch.full_like(rows[:, :1], padding)], 1)


def main() -> None:
    method = Method(["auto-round"])
    task = method.task
    if task.variant not in ("default", "alg_ext"):
        raise SystemExit(f"auto_round has no variant {task.variant}")
    if task.activation_bits:
        raise SystemExit("auto_round: ranges of activations were not tried")
    model = task.load_model()
    tokenizer = AutoTokenizer.from_pretrained(task.model)  # must be given; token ids are not tokenized again
    rows = rows_of(task, tokenizer.pad_token_id)
    with method.timed():
        rounder = AutoRound(
            model,
            tokenizer,
            bits=task.bits,
            group_size=task.group_size or -1,
            sym=task.symmetric,
            data_type=DATA_TYPES[task.floats],
            act_bits=16,
            dataset=list(rows.split(task.samples)),
            nsamples=len(rows),
            seqlen=rows.shape[1],  # shorter rows would be left out
            batch_size=task.samples,
            iters=task.iterations,
            seed=task.seed,
            enable_alg_ext=task.variant == "alg_ext",
            device_map=task.device,
        )
        model, _ = rounder.quantize()
        layers = task.layers(model)
        weights = {f"{path}.weight": exported(layer, task) for path, layer in layers.items()}
    method.give(weights)


if __name__ == "__main__":
    main()
