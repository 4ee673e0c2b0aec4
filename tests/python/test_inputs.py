"""Every way to call a model: all through one capture, training included."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from adascale import Error, QuantizationSimModel, apply_adascale

WIDTH, WORDS = 16, 50


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mix, self.up, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        shared = (self.mix(x) * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        return x + self.down(torch.relu(self.up(x + shared)))


class Reader(nn.Module):
    """Token ids [batch, length] and a bool mask of those that count, to features."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.blocks = nn.Embedding(WORDS, WIDTH), nn.ModuleList([Block(), Block()])

    def read(self, ids: Tensor, keep: Tensor) -> Tensor:
        x = self.words(ids)
        for block in self.blocks:
            x = block(x, keep[..., None].float())
        return x

    def forward(self, ids: Tensor, keep: Tensor) -> Tensor:
        return self.read(ids, keep)


class NestedReader(Reader):
    def forward(self, batch: dict[str, Any], *, scales: tuple[Tensor, list[Tensor]]) -> Any:
        x = self.read(batch["text"]["ids"], batch["text"]["keep"])
        return x * scales[0] + scales[1][0]


class ReaderOfSeveral(Reader):
    def forward(self, ids: Tensor, keep: Tensor) -> Any:
        x = self.read(ids, keep)
        return x, {"mean": x.mean(1), "any": keep.any(1), "ids": [ids]}


@dataclass
class Reading:
    features: Tensor
    summary: Tensor | None = None


class ReaderOfDataclass(Reader):
    def forward(self, ids: Tensor, keep: Tensor) -> Reading:
        return Reading(features=self.read(ids, keep))


torch.export.register_dataclass(Reading, serialized_type_name="tests.Reading")


def text(batch: int, length: int) -> tuple[Tensor, Tensor]:
    keep = torch.arange(length) < torch.randint(1, length + 1, (batch, 1))
    return torch.randint(0, WORDS, (batch, length)), keep


def as_tuple(batch: int, length: int) -> Any:
    return text(batch, length)


def as_dict(batch: int, length: int) -> Any:
    ids, keep = text(batch, length)
    return {"keep": keep, "ids": ids}  # by name: the order does not matter


def as_nest(batch: int, length: int) -> Any:
    ids, keep = text(batch, length)
    scales = torch.rand(batch, 1, 1), [torch.rand(WIDTH)]
    return {"batch": {"text": {"ids": ids, "keep": keep}}, "scales": scales}


CASES: dict[str, tuple[type[Reader], Callable[[int, int], Any]]] = {
    "tuple of int and bool": (Reader, as_tuple),
    "dict": (Reader, as_dict),
    "nested, keyword-only": (NestedReader, as_nest),
    "several outputs": (ReaderOfSeveral, as_tuple),
    "dataclass output": (ReaderOfDataclass, as_dict),
}


def call(model: Any, batch: Any) -> Any:
    with torch.no_grad():
        return model(**batch) if isinstance(batch, dict) else model(*batch)


@pytest.mark.parametrize("case", CASES)
def test_one_capture_serves_every_size(case: str) -> None:
    """Batches of any size and length, the last one short, in training, calibration and calls."""
    make, batch_of = CASES[case]
    model = make().eval()
    with mock.patch("torch.export.export", wraps=torch.export.export) as export:
        sim = QuantizationSimModel(model, batch_of(2, 7), param_bw=3, output_bw=16)
        loader = [batch_of(8, 7), batch_of(8, 12), batch_of(8, 5), batch_of(3, 9)]
        report = apply_adascale(sim, loader, num_iterations=40, progress=False)
        sim.compute_encodings(lambda simulated: [call(simulated, batch) for batch in loader])
    assert export.call_count == 1
    assert [block.name for block in report.blocks] == ["blocks.0", "blocks.1"]
    assert all(block.loss_after < block.loss_before for block in report.blocks)

    for batch in (batch_of(1, 7), batch_of(5, 3)):
        expected, got = call(model, batch), call(sim.model, batch)
        assert type(got) is type(expected)
        assert pytree.tree_structure(got) == pytree.tree_structure(expected)
        for ours, theirs in zip(pytree.tree_leaves(got), pytree.tree_leaves(expected), strict=True):
            if isinstance(theirs, Tensor):
                assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


@pytest.mark.parametrize("case", CASES)
def test_full_precision_gives_the_models_own_values(case: str) -> None:
    make, batch_of = CASES[case]
    model = make().eval()
    sim = QuantizationSimModel(model, batch_of(2, 7), param_bw=32, output_bw=32)
    batch = batch_of(4, 11)
    got, expected = (pytree.tree_leaves(call(m, batch)) for m in (sim.model, model))
    torch.testing.assert_close(got, expected)


def test_a_training_input_that_changes_changes_the_result() -> None:
    """Int and bool inputs reach the training: they are not constants of the capture."""

    def trained(batches: list[Any]) -> list[float]:
        torch.manual_seed(0)
        model = Reader().eval()
        sim = QuantizationSimModel(model, as_tuple(2, 7), param_bw=3, output_bw=32)
        report = apply_adascale(sim, batches, num_iterations=10, progress=False)
        return [block.loss_before for block in report.blocks]

    ids, keep = as_tuple(8, 7)
    base = trained([(ids, keep)])
    assert base == trained([(ids.clone(), keep.clone())])
    assert base != trained([((ids + 1) % WORDS, keep)])
    assert base != trained([(ids, keep.flip(0))])


def test_labels_in_the_batch() -> None:
    """A forward_fn leaves them out; without one, a line of text reports them."""
    model = Reader().eval()
    loader = [(*as_tuple(4, 7), torch.tensor([0, 1, 2, 3])) for _ in range(3)]
    sim = QuantizationSimModel(model, as_tuple(2, 7), param_bw=3, output_bw=32)
    with pytest.raises(
        Error, match=r"batch 0: .*labels.*forward_fn=lambda model, batch: model\(batch\[0\]\)"
    ):
        apply_adascale(sim, loader, progress=False)
    report = apply_adascale(sim, loader, lambda m, batch: m(batch[0], keep=batch[1]), progress=False)
    assert [block.iterations for block in report.blocks] == [3, 3]


def test_labels_that_the_model_takes() -> None:
    """A batch of transformers' own, with labels: the loss is an output like others."""
    transformers = pytest.importorskip("transformers", reason="the package transformers is missing")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.BertConfig(vocab_size=WORDS, num_labels=3, **sizes)
    model = transformers.BertForSequenceClassification(config).eval()

    def batch_of(samples: int, length: int) -> dict[str, Tensor]:
        ids, keep = text(samples, length)
        return {"input_ids": ids, "attention_mask": keep.long(), "labels": torch.randint(0, 3, (samples,))}

    sim = QuantizationSimModel(model, batch_of(2, 7), param_bw=3, output_bw=32)
    apply_adascale(sim, [batch_of(8, 7), batch_of(3, 9)], num_iterations=4, progress=False)
    batch = batch_of(4, 10)
    got, expected = call(sim.model, batch), call(model, batch)
    assert type(got) is type(expected)
    assert got.loss.shape == () and got.logits.shape == (4, 3)
    torch.testing.assert_close(got.loss, expected.loss, rtol=0, atol=0.5)


class Unregistered(Reader):
    @dataclass
    class Output:
        features: Tensor

    def forward(self, ids: Tensor, keep: Tensor) -> Any:
        return self.Output(self.read(ids, keep))


def test_an_unknown_class_of_output_is_named_and_its_model_goes_block_by_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sim = QuantizationSimModel(Unregistered().eval(), as_tuple(2, 7))
    assert "Output" in caplog.records[-1].getMessage()
    assert isinstance(sim.model(*as_tuple(2, 7)), Unregistered.Output)
