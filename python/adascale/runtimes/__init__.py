"""Programs that run exported files, for ``adascale evaluate --runtime``."""

from .onnx_runtime import OnnxRuntime
from .openvino import OpenVino
from .runtime import Runtime

__all__ = ["Runtime", "python_runtimes"]


def python_runtimes() -> list[Runtime]:
    """A row each."""
    return [OnnxRuntime(), OnnxRuntime(is_exact=True), OpenVino(), OpenVino(is_exact=True)]
