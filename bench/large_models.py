"""The models of large.py: folders of random weights, of any depth, and small ones with much in them."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

SHARD_BYTES = 4 << 30


@dataclass(frozen=True)
class Shape:
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    head: int = 128
    experts: int = 0  # of which each token takes 8

    def layer(self) -> dict[str, tuple[int, ...]]:
        """The sizes of a layer's weights, by their names in it."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        sizes: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (queries, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, queries),
            "input_layernorm": (self.hidden,),
            "post_attention_layernorm": (self.hidden,),
        }
        mlp = {
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }
        if not self.experts:
            return sizes | {f"mlp.{name}": size for name, size in mlp.items()}
        sizes |= {"mlp.gate": (self.experts, self.hidden)}
        sizes |= {"self_attn.q_norm": (self.head,), "self_attn.k_norm": (self.head,)}
        for expert in range(self.experts):
            sizes |= {f"mlp.experts.{expert}.{name}": size for name, size in mlp.items()}
        return sizes

    def model(self, layers: int) -> dict[str, tuple[int, ...]]:
        sizes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        for index in range(layers):
            sizes |= {f"model.layers.{index}.{name}.weight": size for name, size in self.layer().items()}
        return sizes | {"model.norm.weight": (self.hidden,), "lm_head.weight": (self.vocabulary, self.hidden)}

    def config(self, layers: int) -> dict[str, object]:
        config: dict[str, object] = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head,
            "num_hidden_layers": layers,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500000.0,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        }
        if self.experts:
            config |= {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe"}
            config |= {"num_experts": self.experts, "num_experts_per_tok": 8}
            config |= {"moe_intermediate_size": self.intermediate, "norm_topk_prob": True}
        return config


def random(size: tuple[int, ...]) -> torch.Tensor:
    """Ones for a norm."""
    made = torch.empty(size, dtype=torch.bfloat16)
    return made.normal_(std=0.02) if len(size) > 1 else made.fill_(1)


LLAMA_8B = Shape(4096, 14336, 32, 8, 128256)
LLAMA_70B = Shape(8192, 28672, 64, 8, 128256)
SMALL = Shape(1024, 3584, 16, 8, 8192, head=64)
WIDE = Shape(256, 512, 4, 4, 128256, head=64)
QWEN3_30B = Shape(2048, 768, 32, 4, 8192, experts=128)


def make_folder(folder: Path, shape: Shape, layers: int, sparse: bool = False) -> Path:
    """A model of random weights, the same in each layer, made once. `sparse`: of zeros that take no disk."""
    stamp = folder / "made.json"
    wanted = {"shape": vars(shape), "layers": layers, "sparse": sparse}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    sizes = shape.model(layers)
    shards = _cut_shards(sizes)
    places = {}
    made: dict[str, torch.Tensor] = {}
    for index, names in enumerate(shards, 1):
        file = f"model-{index:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys(names, file)
        if sparse:
            _write_sparse(folder / file, {name: sizes[name] for name in names})
            continue
        for name in names:
            made.setdefault(_kind(name), random(sizes[name]))
        # Layers share their tensors here, which save_file refuses.
        save_file(
            {name: made[_kind(name)].clone() for name in names}, folder / file, metadata={"format": "pt"}
        )
    total = sum(_bytes(size) for size in sizes.values())
    document = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document))
    (folder / "config.json").write_text(json.dumps(shape.config(layers), indent=1))
    stamp.write_text(json.dumps(wanted))
    return folder


def _bytes(size: tuple[int, ...]) -> int:
    return 2 * math.prod(size)


def _kind(name: str) -> str:
    """What the tensors of all layers, and of all experts, have in common."""
    return ".".join(part for part in name.split(".") if not part.isdigit())


def _cut_shards(sizes: dict[str, tuple[int, ...]]) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + _bytes(size) > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += _bytes(size)
    return shards


def _write_sparse(path: Path, sizes: dict[str, tuple[int, ...]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in sizes.items():
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [end, end + _bytes(size)]}
        end += _bytes(size)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def tokens(path: Path, samples: int, length: int, vocabulary: int) -> Path:
    torch.manual_seed(1)
    save_file({"input_ids": torch.randint(vocabulary, (samples, length))}, path)
    return path


def tiny_llama(attention: str) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "vocab_size": 512}
    config = LlamaConfig(**sizes, num_hidden_layers=3, attn_implementation=attention)
    return LlamaForCausalLM(config).eval()


def sdpa() -> Any:
    return tiny_llama("sdpa")


def eager() -> Any:
    return tiny_llama("eager")


class Branching(torch.nn.Module):
    """A folder's model for which no program of the whole stands: a value decides its way."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForCausalLM

        super().__init__()
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        if input_ids.sum() < 0:
            input_ids = -input_ids
        return self.model(input_ids).logits


def branching() -> Branching:
    return Branching(os.environ["LARGE_FOLDER"]).eval()


class Chain(torch.nn.Module):
    """Two layers and many small operators."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(240):
            x = x + 1
        return self.second(self.first(x))
