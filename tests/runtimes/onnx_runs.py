"""Runs exported ONNX files in ONNX Runtime and OpenVINO."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from adascale.runtimes import python_runtimes
from torch import Tensor

# Session options: all optimizations but products in fp32; none; the default of every user.
OPTIMIZED, BASIC, PLAIN, DEFAULT = "optimized", "basic", "plain", "default"
_LEVELS = {
    OPTIMIZED: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    DEFAULT: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    BASIC: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    PLAIN: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


def session(path: Path, how: str, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = _LEVELS[how]
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    if how == OPTIMIZED:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnxruntime(path: Path, inputs: dict[str, Tensor], how: str) -> list[Tensor]:
    found = session(path, how).run(None, {name: value.numpy() for name, value in inputs.items()})
    return [torch.from_numpy(array) for array in found]


def run_openvino(path: Path, inputs: dict[str, Tensor], outputs: list[str]) -> list[Tensor]:
    """Runs in fp32."""
    (runtime,) = (found for found in python_runtimes() if found.name == "openvino-exact")
    run = runtime.open(str(path.parent), list(inputs), list(outputs))
    return [tensor for tensor in run(inputs) if tensor is not None]


def relative_difference(got: Tensor, expected: Tensor) -> float:
    """max |a - b| / max |b|."""
    return ((got.double() - expected.double()).abs().max() / expected.double().abs().max()).item()


def checked(path: Path) -> onnx.ModelProto:
    """The file, checked by onnx.checker."""
    onnx.checker.check_model(str(path))
    return onnx.load(str(path), load_external_data=False)


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def operators(model: onnx.ModelProto) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts


def codes_of(tensor: onnx.TensorProto) -> Tensor:
    """The codes as integers of any width."""
    return torch.from_numpy(onnx.numpy_helper.to_array(tensor).astype(np.int32))


def metadata(model: onnx.ModelProto) -> dict[str, Any]:
    return {entry.key: entry.value for entry in model.metadata_props}
