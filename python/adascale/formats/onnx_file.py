"""An edited ONNX graph as a file: remaining values, metadata, and a separate file of large weights."""

import os
import tempfile
from collections.abc import Callable
from typing import Any

from .file_errors import writing
from .onnx_capture import Captured
from .onnx_graph import torch_tensor
from .onnx_names import make_unique
from .quantized import QuantizedModel

# Protocol buffers end at 2 GB; well below that limit weights go to a separate file.
LARGEST_INLINE = 1_500_000_000


def data_name(model: QuantizedModel) -> str:
    """The name of the separate file."""
    return f"{model.prefix}.onnx.data"


def fill_values(captured: Captured, model: QuantizedModel, replaced: set[str]) -> None:
    """Gives parameters and buffers their values, except the replaced ones (names in the file)."""
    missing = [
        value
        for name, value in captured.graph.initializers.items()
        if value.const_value is None and name not in replaced
    ]
    tensors = model.tensors() if missing else {}  # copies of all weights: not kept any longer
    for value in missing:
        value.const_value = torch_tensor(tensors[captured.parameters[value]], value.name)


def write_file(
    onnx_model: Any, model: QuantizedModel, format_name: str, path: Callable[[str], str], is_large: bool
) -> None:
    _describe(onnx_model, model, format_name)
    make_unique(onnx_model)
    _save(onnx_model, model, path, is_large)


def _describe(onnx_model: Any, model: QuantizedModel, format_name: str) -> None:
    onnx_model.opset_imports.pop("adascale", None)  # of the markers
    if any(node.domain == "com.microsoft" for node in onnx_model.graph):
        onnx_model.opset_imports["com.microsoft"] = 1
    onnx_model.ir_version = 13 if onnx_model.opset_imports[""] >= 25 else 10
    onnx_model.producer_name = "adascale"
    onnx_model.producer_version = model.metadata["adascale.version"]
    onnx_model.metadata_props.clear()
    onnx_model.metadata_props.update(model.metadata)
    onnx_model.metadata_props["adascale.format"] = format_name


def _save(onnx_model: Any, model: QuantizedModel, path: Callable[[str], str], is_large: bool) -> None:
    import onnx_ir as ir

    name, data = f"{model.prefix}.onnx", data_name(model)
    final = path(name)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(final), prefix=".adascale-") as aside:
        file = os.path.join(aside, name)
        with writing(final):
            ir.save(onnx_model, file, external_data=data if is_large else None)
        os.replace(file, final)
        if is_large:
            os.replace(os.path.join(aside, data), path(data))
