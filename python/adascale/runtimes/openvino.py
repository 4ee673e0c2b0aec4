"""OpenVINO on the CPU."""

from typing import Any

from torch import Tensor

from ..errors import Error, first_line
from .onnx_runtime import in_order, to_array
from .runtime import RunBatch, need_packages, only_file


class OpenVino:
    """Runs a folder's ``.onnx``.

    By default it rounds activations to 8 bits before products with weights of few bits; ``is_exact``: it
    computes in fp32.
    """

    packages = ("openvino",)
    files = "*.onnx"

    def __init__(self, is_exact: bool = False) -> None:
        self._is_exact = is_exact
        self.name = "openvino-exact" if is_exact else "openvino"
        precision = "fp32 products" if is_exact else "default options: 8-bit activations in products"
        self.description = f"OpenVINO, CPU, {precision}"

    def open(self, folder: str, inputs: list[str], outputs: list[str | None]) -> RunBatch:
        path = only_file(self.name, folder, ".onnx", "onnx")
        need_packages(self.name, *self.packages)
        model = self._load(path)
        taken = {name for port in model.inputs for name in port.get_names()}

        def run(batch: dict[str, Tensor]) -> list[Tensor | None]:
            try:
                feed = {name: to_array(value) for name, value in batch.items() if name in taken}
                results = model(feed)
            except Exception as error:  # boundary: the runtime's own errors, one line
                raise Error(f"{path}: {self.name} cannot run it: {_reason(error)}") from error
            found = {name: results[port].copy() for port in model.outputs for name in port.get_names()}
            return in_order(found, outputs)

        return run

    def _load(self, path: str) -> Any:
        import openvino

        options: dict[str, str] = {}
        if self._is_exact:
            options = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
        try:
            core = openvino.Core()
            return core.compile_model(core.read_model(path), "CPU", options)
        except Exception as error:  # boundary: the runtime's own errors, one line
            version = openvino.__version__.partition("-")[0]
            raise Error(f"{path}: {self.name} {version} refuses it: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The last line: its errors begin with places in its source and end with a summary."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
    return said[-1] if said else first_line(error)
