"""An ONNX file read again: the graph that was written, and in its tensors the simulation's weights."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .._C import Pass
from ..errors import Error
from .file_errors import reading
from .quantized import QuantizedModel, Weight
from .read_back import expect_names, expect_same_numbers


@dataclass(frozen=True)
class Held:
    """A quantized weight in a graph."""

    weight: Weight
    inputs: list[Any]  # the graph's values that hold it: floats; or codes, scale and, perhaps, zero point
    dequantize: Callable[..., Tensor]  # of their tensors, as runtimes do, in fp32

    def values(self, tensors: dict[str, Any]) -> Tensor:
        read = [_torch(tensors[value.name]) for value in self.inputs]
        return self.dequantize(*read).to(self.weight.dtype)


def expect_model(written: Any, held: list[Held], model: QuantizedModel, path: str, data: str | None) -> None:
    """Raises Error unless the file at ``path``, with weights in ``data``, holds the graph and the weights."""
    with reading(path):
        import onnx_ir as ir

        read = ir.load(path)
        if _texts(read) != _texts(written):
            raise Error(f"{path}: got another graph or other metadata than were written")
        tensors = _tensors(read.graph, data)
        expect_names(path, set(tensors), set(written.graph.initializers))
        for name, value in written.graph.initializers.items():
            _expect_tensor(data or path, name, tensors[name], value.const_value)
    simulated = model.tensors()
    names = {weight.index: weight.name for weight in model.weights}
    progress = Pass.reading_back(data or path, len(held))
    for one in held:
        name = names[one.weight.index]
        _expect_finite(data or path, name, one, tensors)
        expect_same_numbers(data or path, name, one.values(tensors), simulated[name])
        progress.step()


def _texts(onnx_model: Any) -> list[Any]:
    """All but the tensors: nodes, inputs, outputs, versions, metadata."""
    import onnx_ir as ir

    parts = [*onnx_model.graph, *onnx_model.graph.inputs, *onnx_model.graph.outputs]
    texts = [ir.to_proto(part).SerializeToString(deterministic=True) for part in parts]
    versions = (onnx_model.ir_version, sorted(onnx_model.opset_imports.items()))
    return [texts, versions, sorted(onnx_model.metadata_props.items())]


def _tensors(graph: Any, data: str | None) -> dict[str, Any]:
    """By name; what lies beside the file is read where it is until both get their names."""
    import onnx_ir as ir

    tensors = {name: value.const_value for name, value in graph.initializers.items()}
    for name, tensor in tensors.items():
        if not isinstance(tensor, ir.ExternalTensor):
            continue
        if data is None:
            raise Error(f"got tensor {name} in {tensor.location}, expected it in the file")
        tensors[name] = ir.ExternalTensor(
            os.path.basename(data),
            tensor.offset,
            tensor.length,
            tensor.dtype,
            shape=tensor.shape,
            name=name,
            base_dir=os.path.dirname(data),
        )
    return tensors


def _expect_tensor(path: str, name: str, got: Any, expected: Any) -> None:
    kinds = [f"{tensor.dtype} {list(tensor.shape)}" for tensor in (got, expected)]
    if kinds[0] != kinds[1]:
        raise Error(f"{path}: {name}: got {kinds[0]}, expected {kinds[1]}")
    if got.tobytes() != expected.tobytes():
        raise Error(f"{path}: {name}: got other bytes than were written")


def _expect_finite(path: str, name: str, held: Held, tensors: dict[str, Any]) -> None:
    for value in held.inputs:
        tensor = _torch(tensors[value.name])
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise Error(f"{path}: {name}: got NaN or infinity in {value.name}, expected finite numbers")


def _torch(tensor: Any) -> Tensor:
    """Its numbers: integers of few bits as int32."""
    import onnx_ir as ir

    if tensor.dtype == ir.DataType.BFLOAT16:
        return torch.frombuffer(bytearray(tensor.tobytes()), dtype=torch.bfloat16).reshape(list(tensor.shape))
    array = tensor.numpy()
    return torch.from_numpy(array.astype("int32" if tensor.dtype.is_integer() else array.dtype))
