"""Export formats that a maintained Python library writes better than C++ could."""

from .onnx_formats import OnnxFloat, OnnxMatMulNBits, OnnxQdq
from .quantized import ProgramFormat

__all__ = ["ProgramFormat", "python_formats"]


def python_formats() -> list[ProgramFormat]:
    """The formats of every model beside C++'s own; new ones for each run, as they keep state."""
    return [OnnxQdq(), OnnxFloat(), OnnxMatMulNBits()]
