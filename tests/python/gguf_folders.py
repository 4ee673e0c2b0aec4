"""Small folders that become a GGUF, and the one line of those that do not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_folders import CHAT_TEMPLATE, QUICK, SIZES, TEXT, save_folder
from transformers import LlamaConfig, LlamaForCausalLM

import adascale


def folder_of(config: Any, kind: Any, folder: Path, **changes: Any) -> Path:
    torch.manual_seed(1)
    sizes = {**SIZES, "hidden_size": 64, "intermediate_size": 96, "eos_token_id": 0, **changes}
    return save_folder(kind(config(**sizes)).eval(), folder, CHAT_TEMPLATE)


def llama(folder: Path, **changes: Any) -> Path:
    return folder_of(LlamaConfig, LlamaForCausalLM, folder, **changes)


def objection(source: Path, tmp_path: Path, formats: list[str], **options: Any) -> str:
    with pytest.raises(adascale.Error) as caught:
        adascale.quantize(source, tmp_path / "out", [TEXT], formats=formats, **{**QUICK, **options})
    assert not (tmp_path / "out").exists()
    return str(caught.value)
