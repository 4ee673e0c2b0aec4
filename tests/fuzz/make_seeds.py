"""Writes the fuzzers' seeds: make_seeds.py FOLDER gives FOLDER/gguf and FOLDER/safetensors."""

import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from safetensors.torch import save_file


def write_gguf(path: Path, kind: GGMLQuantizationType) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", True)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "é"])
    writer.add_array("tokenizer.ggml.token_type", [1, 2, 3])
    values = np.linspace(-1, 1, 2 * 64, dtype=np.float32).reshape(2, 64)
    writer.add_tensor("blk.0.attn_q.weight", quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("output_norm.weight", values[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    folder = Path(sys.argv[1])
    for reader in ("gguf", "safetensors"):
        (folder / reader).mkdir(parents=True, exist_ok=True)
    for kind in (GGMLQuantizationType.F16, GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q8_0):
        write_gguf(folder / "gguf" / f"{kind.name}.gguf", kind)
    dtypes = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    tensors = {str(dtype): torch.ones(2, 3).to(dtype) for dtype in dtypes}
    save_file(tensors, folder / "safetensors" / "dtypes.safetensors", metadata={"format": "pt"})
    edges = {"scalar": torch.tensor(1.0), "none": torch.empty(0, 4)}
    save_file(edges, folder / "safetensors" / "edges.safetensors")


main()
