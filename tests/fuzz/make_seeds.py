"""Writes seeds: make_seeds.py FOLDER gives FOLDER/<target>; make_checkpoints writes those of checkpoint."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from safetensors.torch import save_file

TESTS = Path(__file__).parents[1]
MODELS = TESTS / "fuzz" / "models"

CONFIG = {
    "defaults": {
        "ops": {"is_output_quantized": "True", "is_symmetric": "False"},
        "params": {"is_quantized": "True", "is_symmetric": "True"},
        "per_channel_quantization": "True",
        "strict_symmetric": "False",
        "hw_version": "V73",
        "supported_kernels": [{"activation": {"bitwidth": 16, "dtype": "int"}}],
    },
    "params": {"bias": {"is_quantized": "False"}},
    "op_type": {
        "Gemm": {"is_input_quantized": "True", "params": {"weight": {"is_symmetric": "False"}}},
        "Softmax": {"encoding_constraints": {"min": 0.0, "max": 1.0}},
    },
    "supergroups": [{"op_list": ["Gemm", "Relu"]}, {"op_list": ["Conv", "BatchNormalization", "Relu"]}],
    "supergroup_pass_list": ["MatmulAdd"],
    "model_input": {"is_input_quantized": "True"},
    "model_output": {},
}
ASKED = {"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "?"}]}
REPORT = {
    "schema": 1,
    "adascale": "0.1.0",
    "recipe": "fast",
    "summary": {"verdict": "The block came out closer."},
    "blocks": [{"name": "b", "layers": [{"name": "b.fc", "grid": "int4", "sqnr_db": 21.5}]}],
    "formats": [{"name": "pt2", "files": ["model.pt2"]}],
    "rounded": [{"name": "head", "grid": "int8"}],
    "activations": [
        {"value": "x", "module": "", "port": "output", "bits": 8, "off": "", "min": -1.5, "max": 1.5}
    ],
    "adascale.plan": "0" * 40,
}
JSONL = [
    {"text": "A sentence."},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
    {"messages": [ASKED]},
]


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


def write_safetensors(folder: Path) -> None:
    dtypes = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    tensors = {str(dtype): torch.ones(2, 3).to(dtype) for dtype in dtypes}
    save_file(tensors, folder / "dtypes.safetensors", metadata={"format": "pt"})
    save_file({"scalar": torch.tensor(1.0), "none": torch.empty(0, 4)}, folder / "edges.safetensors")


def write_programs(zips: Path, graphs: Path) -> None:
    for path in MODELS.glob("*.pt2"):
        shutil.copy(path, zips)
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("models/model.json"))
            (graphs / f"{path.stem}.json").write_bytes(archive.read(name))


def main(seeds: Path) -> None:
    names = ("config", "encodings", "gguf", "jsonl", "program", "pt2", "report", "safetensors")
    folders = {name: seeds / name for name in names}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    (folders["config"] / "config.json").write_text(json.dumps(CONFIG))
    (folders["report"] / "report.json").write_text(json.dumps(REPORT))
    for path in (TESTS / "formats" / "aimet").iterdir():
        shutil.copy(path, folders["encodings"])
    for kind in (GGMLQuantizationType.F16, GGMLQuantizationType.Q4_0, GGMLQuantizationType.Q8_0):
        write_gguf(folders["gguf"] / f"{kind.name}.gguf", kind)
    for number, record in enumerate(JSONL):
        (folders["jsonl"] / f"{number}.jsonl").write_text(json.dumps(record) + "\n")
    (folders["jsonl"] / "all.jsonl").write_text("\n\n".join(map(json.dumps, JSONL)))
    write_programs(folders["pt2"], folders["program"])
    write_safetensors(folders["safetensors"])


main(Path(sys.argv[1]))
