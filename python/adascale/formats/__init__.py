"""Export formats that a maintained Python library writes better than C++ could."""

from .onnx_formats import OnnxFloat, OnnxMatMulNBits, OnnxQdq
from .quantized import Format

__all__ = ["Format", "python_formats"]


def python_formats() -> list[Format]:
    """Rows for C++'s table of formats."""
    return [OnnxQdq(), OnnxFloat(), OnnxMatMulNBits()]
