"""Padding counts nowhere in training: rows padded to one length train as the rows alone do."""

import pytest
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

import adascale
from adascale import AdaScaleReport, QuantizationSimModel

pytestmark = pytest.mark.usefixtures("kept_captures")

TOKENS, PADDED = 12, 29
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def encoder() -> BertModel:
    torch.manual_seed(0)
    return BertModel(BertConfig(vocab_size=100, **SIZES), add_pooling_layer=False).eval()


def batches(length: int) -> list[dict[str, Tensor]]:
    rows = torch.randint(1, 100, (16, 1, TOKENS), generator=torch.Generator().manual_seed(1))
    ids = torch.zeros(16, 1, length, dtype=torch.long)
    ids[:, :, :TOKENS] = rows
    return [{"input_ids": row, "attention_mask": (row != 0).long()} for row in ids]


def trained(length: int, recipe: str) -> AdaScaleReport:
    model, data = encoder(), batches(length)
    sim = QuantizationSimModel(model, data[0], default_param_bw=3, default_output_bw=32)
    return adascale.apply_adascale(
        sim, data, recipe=recipe, num_iterations=20, precision="float32", progress=False
    )


@pytest.mark.parametrize("recipe", ["fast", "best"])
def test_padded_rows_train_as_the_rows_alone(recipe: str) -> None:
    alone, padded = trained(TOKENS, recipe), trained(PADDED, recipe)
    for one, other in zip(alone.blocks, padded.blocks, strict=True):
        assert other.loss_before == pytest.approx(one.loss_before, rel=1e-4)
        assert other.loss_after == pytest.approx(
            one.loss_after, rel=1e-2
        )  # sums of another order, then signs
    if recipe == "best":
        before = [report.last_stage.held_out_before for report in (alone, padded)]
        assert before[1] == pytest.approx(before[0], rel=1e-2)
