"""``hf`` makes the parameters that a folder holds in pieces one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from adascale.formats.hf_folder import FolderWriter, Pieces, SourceNames
from small_folders import llama_folder
from torch import Tensor, nn
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers.core_model_loading import revert_weight_conversion

LAYERS = 3


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        hidden_size=32, moe_intermediate_size=16, num_hidden_layers=LAYERS, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, vocab_size=64, num_experts=4, num_experts_per_tok=2,
    )  # fmt: skip
    return Qwen3MoeForCausalLM(config).eval()


def stored(model: nn.Module) -> dict[str, Tensor]:
    return dict(revert_weight_conversion(model, dict(model.state_dict())))


class Made:
    """Doubles of the experts' parameters, each made when it is called, and counted."""

    def __init__(self, model: nn.Module) -> None:
        self.calls: Counter[str] = Counter()
        self.makers = [
            {name: self._maker(name, parameter)}
            for name, parameter in model.state_dict().items()
            if ".experts." in name
        ]

    def _maker(self, name: str, parameter: Tensor) -> Callable[[], Tensor]:
        def make() -> Tensor:
            self.calls[name] += 1
            return parameter * 2

        return make


def test_each_is_made_once_in_the_order_of_a_shard(model: nn.Module) -> None:
    files, made = stored(model), Made(model)
    pieces = Pieces(SourceNames(model, set(files)), made.makers)
    makers = pieces.makers()
    assert makers.keys() == {name for name in files if ".experts." in name}
    assert not made.calls, "none before its turn"
    kept = []
    for name in sorted(makers):
        assert torch.equal(makers[name](), files[name] * 2), name
        kept.append(len(pieces._recent))
    assert set(made.calls.values()) == {1} and len(made.calls) == 2 * LAYERS
    assert max(kept) == 2, "those of one layer"


def test_pieces_of_several_parameters_make_them_together(model: nn.Module) -> None:
    """A file may join what the model holds apart; others then come from the model."""

    class Joined(SourceNames):
        def pieces(self, names: set[str]) -> set[str]:
            return {"joined"} if names & {"q", "k"} else {"alone"}

        def split(self, values: dict[str, Tensor], pieces: set[str]) -> dict[str, Tensor]:
            assert pieces in ({"joined"}, {"alone"})
            return dict.fromkeys(pieces, torch.cat(list(values.values())))

    ones, twos, threes = (torch.full((2,), float(value)) for value in (1, 2, 3))
    parameters = [{"q": ones.clone}, {"other": threes.clone}, {"k": twos.clone}]
    makers = Pieces(Joined(model, set()), parameters).makers()
    assert makers.keys() == {"joined", "alone"}
    assert sorted(makers["joined"]().tolist()) == [1, 1, 2, 2]
    assert makers["alone"]().tolist() == [3, 3]


def test_what_one_parameter_does_not_fill_comes_from_the_model(model: nn.Module) -> None:
    files = stored(model)
    source = SourceNames(model, set(files))
    name = "model.layers.1.mlp.experts.down_proj"
    wanted = {"model.layers.1.mlp.experts.0.down_proj.weight", "model.layers.0.self_attn.q_proj.weight"}
    split = source.split({name: model.state_dict()[name] * 2}, wanted)
    assert split.keys() == wanted
    assert torch.equal(
        split["model.layers.0.self_attn.q_proj.weight"], files["model.layers.0.self_attn.q_proj.weight"]
    )
    first = "model.layers.1.mlp.experts.0.down_proj.weight"
    assert torch.equal(split[first], files[first] * 2)


def test_each_answer_names_the_files_of_its_own_run(model: nn.Module, tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    (source / "README.md").write_text("the model's")
    writer = FolderWriter(model, str(source))
    asked = [
        SimpleNamespace(texts=texts, folder=str(tmp_path / "out"), changed=[])
        for texts in (["README.md"], [])
    ]
    with_card, without = (writer.prepare(one).files for one in asked)
    assert "README.md" not in with_card and "README.md" in without
