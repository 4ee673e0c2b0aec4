"""Programs that run exported files, for ``adascale evaluate --runtime``."""

from .llama_cpp import LlamaCpp
from .onnx_runtime import OnnxRuntime
from .openvino import OpenVino
from .runtime import Runtime
from .transformers_runtime import TransformersRuntime

__all__ = ["Runtime", "python_runtimes"]


def python_runtimes() -> list[Runtime]:
    """One row per runtime."""
    return [
        OnnxRuntime(),
        OnnxRuntime(is_exact=True),
        OpenVino(),
        OpenVino(is_exact=True),
        LlamaCpp(),
        TransformersRuntime(),
    ]
