"""Properties of every architecture, whatever its modules: blocks, outputs, training, weights, encodings."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from adascale.capture import capture
from architectures import ARCHITECTURES, Architecture, Subject, put_back
from models_table import ROWS, Row, titles_in_docs
from torch import Tensor
from torch.utils import _pytree as pytree

from adascale import AdaScaleReport, QuantizationSimModel, apply_adascale

GOLDEN = Path(__file__).parent / "golden"
ITERATIONS, HELD_OUT = 30, 2
SIZES = {"example's": (2, 1.0), "one sample": (1, 1.0), "more, longer": (5, 1.5), "odd": (3, 1.25)}


class Captured(Subject):
    """A subject that is exported once and simulated often."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.architecture = architecture
        self._captured = capture(self.model, self.example)

    def sim(self, **options: Any) -> QuantizationSimModel:
        with mock.patch("adascale.sim.capture", return_value=self._captured):
            return QuantizationSimModel(self.model, self.example, **options)

    def train(self, **options: Any) -> tuple[QuantizationSimModel, AdaScaleReport]:
        """W3A16, trained on batches of two lengths; the last held-out batch is short."""
        torch.manual_seed(1)
        batches = [self.batch(8, 1.0 if i % 2 else 1.5) for i in range(8)]
        held_out = [self.batch(8), self.batch(3)]
        sim = self.sim(param_bw=3, output_bw=16, **options)
        report = apply_adascale(
            sim,
            [*batches, *held_out],
            num_iterations=ITERATIONS,
            held_out_batches=HELD_OUT,
            keep_better=False,
            progress=False,
        )
        sim.compute_encodings(lambda model: [self.run(model, batch) for batch in batches])
        return sim, report

    @cached_property
    def trained(self) -> tuple[QuantizationSimModel, AdaScaleReport]:
        return self.train()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(row, id=row.name, marks=pytest.mark.full if row.is_slow else ()) for row in ARCHITECTURES
    ],
)
def subject(request: pytest.FixtureRequest) -> Iterator[Captured]:
    if not request.param.is_plain:
        pytest.importorskip("transformers", reason="the package transformers is missing")
    yield Captured(request.param)


def without_value_names(text: str) -> str:
    """Names and open sizes of values depend on the order of the nodes, which is not fixed for all models."""
    text = re.sub(r"\w+\[([^\]]*)\]", lambda m: f"[{', '.join(fixed_sizes(m[1]))}]", text)
    return re.sub(r"side (in|out) ([^|\n]*)", lambda m: f"side {m[1]} {sort_values(m[2])}", text)


def fixed_sizes(sizes: str) -> list[str]:
    """The fixed sizes in `2, s0, Mod(s0, 4) + 1`, and a star for any other."""
    while "(" in sizes:
        sizes = re.sub(r"\([^()]*\)", "", sizes)
    return [size if size.isdigit() or not size else "*" for size in sizes.split(", ")]


def sort_values(values: str) -> str:
    return ", ".join(sorted(re.findall(r"\[[^\]]*\]", values))) + " " * values.endswith(" ")


def test_blocks_are_the_golden_ones(subject: Captured, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{subject.architecture.name}.txt"
    found = without_value_names(subject.sim()._core.describe_calls())
    if request.config.getoption("--update-golden"):
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("size", SIZES)
def test_output_in_full_precision_is_pytorchs(subject: Captured, size: str) -> None:
    """With the same class of output, at sizes that the example did not have."""
    batch = subject.batch(*SIZES[size])
    simulated = subject.sim(param_bw=32, output_bw=32).model
    expected, got = subject.run(subject.model, batch), subject.run(simulated, batch)
    assert type(got) is type(expected)
    expected_leaves, got_leaves = pytree.tree_leaves(expected), pytree.tree_leaves(got)
    assert len(expected_leaves) == len(got_leaves) > 0
    torch.testing.assert_close(got_leaves, expected_leaves, rtol=1e-5, atol=1e-6)


def test_training_lowers_every_blocks_loss(subject: Captured) -> None:
    _, report = subject.trained
    blocks = [block for block in report.blocks if block.layers]
    assert blocks and all(block.iterations == ITERATIONS and block.kept for block in blocks)
    ROWS[subject.architecture.name] = Row.of(subject.architecture.title, report)
    losses = {block.name: (block.held_out_before, block.held_out_after) for block in blocks}
    assert {name: pair for name, pair in losses.items() if not pair[1] < pair[0]} == {}


def test_encodings_are_finite(subject: Captured, tmp_path: Path) -> None:
    sim, report = subject.trained
    encodings = read_encodings(sim, tmp_path)
    weights = {name.removesuffix(".weight") for name in encodings["param_encodings"]}
    assert weights >= {layer.name for block in report.blocks for layer in block.layers}
    assert encodings["activation_encodings"]


def read_encodings(sim: QuantizationSimModel, folder: Path) -> dict[str, Any]:
    """Refuses NaN and infinity, which JSON does not have but Python writes."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} among the encodings")

    by_module, by_tensor = sim.export(folder, "model", formats=("encodings",))
    json.loads(Path(by_tensor).read_text(), parse_constant=refuse)
    return json.loads(Path(by_module).read_text(), parse_constant=refuse)


def differing(left: dict[str, Tensor], right: dict[str, Tensor]) -> set[str]:
    assert list(left) == list(right)
    return {name for name in left if not torch.equal(left[name], right[name])}


def test_weights_change_only_where_they_may(subject: Captured, tmp_path: Path) -> None:
    """By default the model keeps its bytes; in place it gets the simulation's. Only weights with an
    encoding
    differ."""
    with put_back(subject.model) as before:
        apart, _ = subject.train()
        assert differing(before, subject.model.state_dict()) == set()
        quantized = differing(before, apart.model.state_dict())
        assert quantized == with_aliases(
            subject.model, set(read_encodings(apart, tmp_path)["param_encodings"])
        )

        in_place, _ = subject.train(in_place=True)
        assert differing(before, subject.model.state_dict()) == quantized
        assert differing(subject.model.state_dict(), apart.model.state_dict()) == set()
        assert differing(subject.model.state_dict(), in_place.model.state_dict()) == set()


def with_aliases(model: torch.nn.Module, names: set[str]) -> set[str]:
    """The names and all others of the same tensors (tied weights)."""
    state = model.state_dict()
    addresses = {state[name].data_ptr() for name in names}
    return {name for name, tensor in state.items() if tensor.data_ptr() in addresses}


def test_every_golden_is_an_architectures() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {row.name for row in ARCHITECTURES}


def test_docs_list_every_architecture() -> None:
    titles = [row.title for row in ARCHITECTURES]
    assert [title for title in titles if title not in titles_in_docs()] == []
