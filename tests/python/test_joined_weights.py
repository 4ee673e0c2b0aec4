"""Weights that transformers joins while it loads a folder wait in an unnamed file, not in memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from adascale.doors import joined_weights
from adascale.doors.folder_source import Source, load_model
from adascale.errors import Error
from small_folders import SIZES
from torch import Tensor
from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    torch.manual_seed(0)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    model = Qwen2MoeForCausalLM(Qwen2MoeConfig(**SIZES, **experts, shared_expert_intermediate_size=24))
    folder = tmp_path_factory.mktemp("experts")
    model.save_pretrained(folder)
    return Source(str(folder), None)


def in_scratch(tensor: Tensor) -> bool:
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(number, 16) for number in re.match(r"(\w+)-(\w+)", line).groups())
        if first <= tensor.data_ptr() < last:
            return "/adascale-" in line and line.endswith("(deleted)")
    return False


def test_they_are_what_transformers_makes(source: Source) -> None:
    ours = load_model(source, Qwen2MoeForCausalLM).state_dict()
    theirs = Qwen2MoeForCausalLM.from_pretrained(source.folder).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    joined = {name for name, tensor in ours.items() if in_scratch(tensor)}
    assert joined == {name for name in ours if ".mlp.experts." in name} and len(joined) == 4
    assert not any(in_scratch(tensor) for tensor in theirs.values()), "as before once it is loaded"


def test_without_room_they_stay_in_memory_and_the_log_says_so(
    source: Source, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(joined_weights._C, "scratch_room", lambda: ("/full", 3 << 10))
    model = load_model(source, Qwen2MoeForCausalLM)
    assert not any(in_scratch(tensor) for tensor in model.state_dict().values())
    assert [record.message for record in caplog.records].count(
        "/full has 0 MiB free: weights that are joined stay in memory"
    ) == 1


def test_a_place_that_is_none_is_named(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/none")
    with pytest.raises(Error, match="^TMPDIR: /none is no folder"):
        load_model(source, Qwen2MoeForCausalLM)
