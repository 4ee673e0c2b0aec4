"""Reads a .gguf back, whichever program wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gguf
import torch
from torch import Tensor


class GgufNames:
    """What a .gguf calls the layers of a transformers model of this config."""

    def __init__(self, config: Any) -> None:
        architecture = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[config.model_type]
        self._names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)

    def weight(self, path: str) -> str:
        name = self._names.get_name(path)
        assert name, f"{path}: a .gguf has no name for it"
        return f"{name}.weight"


def read_weights(file: Path, paths: Iterable[str]) -> dict[str, Tensor]:
    """Of these layers, by the names of their parameters, in the layout of transformers."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    return {f"{path}.weight": model.get_parameter(f"{path}.weight") for path in paths}


def count_bytes(file: Path, names: Iterable[str]) -> int:
    """That these tensors have in the file."""
    sizes = {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(file).tensors}
    return sum(sizes[name] for name in names)
