"""transformers, with the package that unpacks the folder's weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .._C import option
from ..doors.folder_source import find_source, load_config, load_model, model_class
from ..errors import Error, first_line
from ..transformers_output import quiet_transformers
from .runtime import RunBatch, need_packages


class TransformersRuntime:
    """Runs the folder itself: ``hf``, or packed weights that transformers can load."""

    name = "transformers"
    packages = ("transformers",)
    files = "config.json"
    description = "transformers, CPU, from_pretrained on the folder"

    def open(self, folder: str, inputs: list[str], outputs: list[str | None]) -> RunBatch:
        if not Path(folder, "config.json").is_file():
            raise Error(
                f"{folder}: holds no config.json for {option('runtime', self.name)}; quantize a "
                f"transformers folder with {option('formats', 'hf')} or compressed-tensors"
            )
        need_packages(self.name, *self.packages)
        source = find_source(folder)
        with quiet_transformers():
            config = load_config(source)
            _need_unpacker(self.name, getattr(config, "quantization_config", None))
            model = load_model(source, model_class(source, config))

        def run(batch: dict[str, Tensor]) -> list[Tensor | None]:
            try:
                with torch.inference_mode():
                    leaves = pytree.tree_leaves(model(**batch))
            except Exception as error:  # boundary: the runtime's own errors, one line
                raise Error(f"{folder}: {self.name} cannot run it: {first_line(error)}") from error
            return [leaf if isinstance(leaf, Tensor) else None for leaf in leaves[: len(outputs)]]

        return run


def _need_unpacker(runtime: str, quantization: Any) -> None:
    """Checks for the package behind transformers' quantization method."""
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    if method == "compressed-tensors":
        need_packages(runtime, "compressed-tensors")
    elif method == "gptq":
        need_packages(runtime, "gptqmodel")
