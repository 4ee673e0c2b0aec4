"""ONNX Runtime on the CPU."""

from typing import Any

import torch
from torch import Tensor

from ..errors import Error, first_line
from .runtime import RunBatch, need_packages, only_file


class OnnxRuntime:
    """Runs a folder's ``.onnx`` with as many threads as torch has.

    By default it rounds activations to 8 bits before products with 2-, 4- and 8-bit weights; ``is_exact``: it
    computes in fp32.
    """

    packages = ("onnxruntime",)
    files = "*.onnx"

    def __init__(self, is_exact: bool = False) -> None:
        self._is_exact = is_exact
        self.name = "onnxruntime-exact" if is_exact else "onnxruntime"
        precision = "fp32 products" if is_exact else "default options: 8-bit activations in products"
        self.description = f"ONNX Runtime, CPU, {precision}"

    def open(self, folder: str, inputs: list[str], outputs: list[str | None]) -> RunBatch:
        path = only_file(self.name, folder, ".onnx", "onnx")
        need_packages(self.name, *self.packages)
        session = self._load(path)
        taken = {value.name for value in session.get_inputs()}
        given = [value.name for value in session.get_outputs()]

        def run(batch: dict[str, Tensor]) -> list[Tensor | None]:
            try:
                feed = {name: to_array(value) for name, value in batch.items() if name in taken}
                found = dict(zip(given, session.run(given, feed), strict=True))
            except Exception as error:  # boundary: the runtime's own errors, one line
                raise Error(f"{path}: {self.name} cannot run it: {first_line(error)}") from error
            return in_order(found, outputs)

        return run

    def _load(self, path: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # errors are raised as well
        if self._is_exact:
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        try:
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # boundary: the runtime's own errors, one line
            version = onnxruntime.__version__
            raise Error(f"{path}: {self.name} {version} refuses it: {first_line(error)}") from error


def to_array(value: Tensor) -> Any:
    """The tensor as NumPy's; raises for dtypes that NumPy lacks."""
    return value.detach().cpu().contiguous().numpy()


def in_order(found: dict[str, Any], outputs: list[str | None]) -> list[Tensor | None]:
    """Arrays by name, in the order of the model's flat outputs."""
    return [torch.from_numpy(found[name]) if name in found else None for name in outputs]
