"""Transformers models of a few thousand random weights, with a tokenizer made on the spot."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "old",
    "wizards",
]
TEXT = "\n".join(" ".join(WORDS[i % 5 :] + WORDS[: i % 7]) + f" {i}." for i in range(120))
CHAT_TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}<eos>{% endfor %}"
QUICK: dict[str, Any] = {"iterations": 2, "samples": 6, "seq_len": 16, "batch_size": 2, "progress": False}


def tiny_tokenizer(chat_template: str | None = None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<eos>", "<pad>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>")
    made.chat_template = chat_template
    return made


# The common configuration of transformers' decoders.
SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}


def tiny_llama(dtype: torch.dtype = torch.float32, tied: bool = False) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=tied)).to(dtype).eval()


def save_folder(model: Any, folder: Path, chat_template: str | None = None, **options: Any) -> Path:
    model.save_pretrained(folder, **options)
    tiny_tokenizer(chat_template).save_pretrained(folder)
    return folder


def llama_folder(
    folder: Path, dtype: torch.dtype = torch.float32, tied: bool = False, **options: Any
) -> Path:
    return save_folder(tiny_llama(dtype, tied), folder, **options)


def write_jsonl(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_text(path: Path, text: str = TEXT) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
