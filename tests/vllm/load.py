"""Loads packed folders with vLLM's own loader, on a CPU, as a GPU would have it; runs in vLLM's environment.

``python load.py JOBS``: a JSON list of {folder, capability, weights}. The text printed last is a JSON list of
{kernels} or {refusal, place}; ``weights`` gets the layers' weights, from the parameters that vLLM's loader
filled. vLLM's code unpacks them but for codes of 3 and 5 bits; of gptq, the product with scales is ours too.
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ["VLLM_TARGET_DEVICE"] = "cpu"  # the wheel for CUDA finds no GPU here
os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"

import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from safetensors.torch import save_file
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.distributed import init_distributed_environment, initialize_model_parallel
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.quantization.compressed_tensors.schemes import compressed_tensors_wNa16
from vllm.model_executor.layers.quantization.utils.quant_utils import unpack_quantized_values_into_int32
from vllm.model_executor.model_loader import get_model_loader
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.platforms import current_platform
from vllm.platforms.interface import DeviceCapability, PlatformEnum
from vllm.utils.torch_utils import set_default_torch_dtype


@contextmanager
def gpu(capability: int) -> Iterator[None]:
    """vLLM's code sees a GPU of this capability (80: 8.0); without one its kernels for CUDA are no choice."""
    kind = current_platform._enum
    current_platform._enum = PlatformEnum.CUDA
    known = DeviceCapability(capability // 10, capability % 10)
    current_platform.get_device_capability = lambda *_, **__: known
    try:
        yield
    finally:
        current_platform._enum = kind
        del current_platform.get_device_capability


def within_gpu(capability: int, call: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **options: Any) -> Any:
        with gpu(capability):
            return call(*args, **options)

    return called


def choose_for_gpu(config: VllmConfig, capability: int) -> None:
    """Only the choice of kernels and their parameters; all else sees the CPU."""
    choose = within_gpu(capability, config.quant_config.get_quant_method)

    def get_quant_method(*args: Any, **options: Any) -> Any:
        method = choose(*args, **options)
        if hasattr(method, "create_weights"):
            method.create_weights = within_gpu(capability, method.create_weights)
        return method

    config.quant_config.get_quant_method = get_quant_method


def load(folder: str, capability: int) -> torch.nn.Module:
    config = EngineArgs(model=folder, enforce_eager=True).create_engine_config()
    choose_for_gpu(config, capability)
    with set_current_vllm_config(config):
        if not torch.distributed.is_initialized():
            init_distributed_environment(1, 0, f"file://{tempfile.mkdtemp()}/init", 0, "gloo")
            initialize_model_parallel(1, 1)
        with set_default_torch_dtype(config.model_config.dtype), torch.device("cpu"):
            model = initialize_model(vllm_config=config, model_config=config.model_config)
        get_model_loader(config.load_config).load_weights(model, config.model_config)
    return model


def method_of(layer: torch.nn.Module) -> Any:
    return getattr(layer, "scheme", None) or layer.quant_method


def unpack_dense(packed: torch.Tensor, bits: int, shape: torch.Size, packed_dim: int = 1) -> torch.Tensor:
    """Codes as a stream of bits, as in Humming's pack_weight.cuh, less the middle one."""
    words = packed if packed_dim == 1 else packed.t()
    stream = (words.unsqueeze(-1) >> torch.arange(32) & 1).reshape(len(words), -1)
    stream = stream[:, : bits * shape[packed_dim]].reshape(len(words), shape[packed_dim], bits)
    codes = (stream << torch.arange(bits)).sum(-1) - (1 << bits - 1)
    return (codes if packed_dim == 1 else codes.t()).to(torch.int8)


def compressed_weight(layer: torch.nn.Module) -> torch.Tensor:
    """vLLM's path that unpacks in Python (VLLM_BATCH_INVARIANT), on the identity; its matmul needs a GPU."""
    compressed_tensors_wNa16.matmul_batch_invariant = torch.matmul
    # compressed-tensors 0.17, which vLLM 0.33 pins, has no code across two words, as vLLM's sizes have.
    dense = 32 % layer.scheme.num_bits != 0
    compressed_tensors_wNa16.unpack_from_int32 = unpack_dense if dense else unpack_from_int32
    layer.scheme.use_batch_invariant = True
    unit = torch.eye(layer.input_size_per_partition, dtype=layer.params_dtype)
    return layer.scheme.apply_weights(layer, unit, None).t()


def gptq_weight(layer: torch.nn.Module) -> torch.Tensor:
    """Its symmetric kernels know the zero point from the type and leave qzeros alone."""
    kind = layer.quant_method.quant_type
    codes = unpack_quantized_values_into_int32(layer.qweight.data, kind, packed_dim=0) - kind.bias
    scales = layer.scales.data.repeat_interleave(len(codes) // len(layer.scales), dim=0)
    return (codes.to(scales.dtype) * scales).t()


def weight_of(layer: torch.nn.Module) -> torch.Tensor:
    if hasattr(layer, "weight"):
        return layer.weight.data
    return compressed_weight(layer) if hasattr(layer, "scheme") else gptq_weight(layer)


def run(job: dict[str, Any]) -> dict[str, Any]:
    try:
        model = load(job["folder"], job["capability"])
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {"refusal": f"{type(error).__name__}: {error}", "place": f"{place.filename}: {place.name}"}
    layers = {name: layer for name, layer in model.named_modules() if is_weighted(layer)}
    weights = {f"{name}.weight": weight_of(layer).contiguous() for name, layer in layers.items()}
    save_file(weights, job["weights"])
    kernels = {name: method_of(layer).kernel for name, layer in layers.items() if is_packed(layer)}
    return {"kernels": {name: type(kernel).__name__ for name, kernel in kernels.items()}}


def is_weighted(layer: torch.nn.Module) -> bool:
    return any(hasattr(layer, name) for name in ("weight", "weight_packed", "qweight"))


def is_packed(layer: torch.nn.Module) -> bool:
    return not hasattr(layer, "weight")


if __name__ == "__main__":
    with open(sys.argv[1]) as jobs:
        print(json.dumps([run(job) for job in json.load(jobs)]))
