"""Formats written in Python, and their description of a model by C++; needs only torch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from adascale.formats.quantized import Prepared, QuantizedModel
from adascale.formats.read_back import expect_bytes
from torch import Tensor, nn

from adascale import _C, Error, QuantizationSimModel


class Recorder:
    """Records the input of a format."""

    def __init__(self, objections: list[str] | None = None, text: str = "written") -> None:
        self.objections, self.text = objections or [], text
        self.prepared = 0

    def prepare(self, model: QuantizedModel) -> Prepared:
        self.prepared += 1
        self.before = [activation.scale for activation in model.activations]
        return Prepared(
            self.objections, files=[f"{model.prefix}.txt"], write=self.write, read_back=self.read_back
        )

    def write(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        self.model = model
        self.encodings = [model.encode(weight.index) for weight in model.weights]
        self.tensors, self.graph = model.tensors(), model.graph()
        Path(path(f"{model.prefix}.txt")).write_text(self.text)

    def read_back(self, model: QuantizedModel, path: Callable[[str], str]) -> None:
        expect_bytes(path(f"{model.prefix}.txt"), b"written")


class Row:
    """A row of the table, which keeps it for the rest of the process: each test has its recorder."""

    name = "record"
    description = "what C++ tells"
    files = ["PREFIX.txt"]
    how_to_load = "open('PREFIX.txt')"
    targets: list[str] = []
    holds_signed_scales = False
    packs_codes = False
    widths: list[int] = []
    holds_activations = True
    recorder = Recorder()

    def prepare(self, model: QuantizedModel) -> Prepared:
        return self.recorder.prepare(model)


_C.add_formats([Row()])


class Tied(nn.Module):
    """A table whose rows are looked up and used in a product, after a layer of its own width."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(24, 16)
        self.middle = nn.Linear(16, 16)
        self.head = nn.Linear(16, 24, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.relu(self.middle(self.table(ids))))


def export(tmp_path: Path, recorder: Recorder, **options: object) -> QuantizationSimModel:
    ids = torch.randint(0, 24, (2, 5))
    sim = QuantizationSimModel(Tied().eval(), ids, **options)  # type: ignore[arg-type]
    sim.compute_encodings(lambda model: model(ids))
    Row.recorder = recorder
    sim.export(tmp_path, "tied", formats=["record"])
    return sim


def test_codes_give_back_the_weights(tmp_path: Path) -> None:
    recorder = Recorder()
    export(tmp_path, recorder, param_bw=4, output_bw=8, group_size=8, symmetric=False)
    assert (tmp_path / "tied.txt").read_text() == "written"
    names = [sorted(weight.names) for weight in recorder.model.weights]
    assert sorted(names) == [["head.weight", "table.weight"], ["middle.weight"]]
    for weight, encoding in zip(recorder.model.weights, recorder.encodings, strict=True):
        assert (weight.bits, weight.symmetric, weight.group_axis, weight.group_size) == (4, False, 1, 8)
        assert encoding.codes.dtype == torch.uint8
        groups = encoding.codes.unflatten(1, (-1, 8)).float()
        values = ((groups + encoding.offset) * encoding.scale).reshape(weight.shape)
        for name in weight.names:
            assert torch.equal(values, recorder.tensors[name])


def test_activations_are_in_the_programs_words(tmp_path: Path) -> None:
    recorder = Recorder()
    export(tmp_path, recorder, param_bw=8, output_bw=8)
    activations = recorder.model.activations
    assert activations
    for activation in activations:
        assert (activation.bits, activation.qmin, activation.qmax) == (8, 0, 255)
        assert activation.scale is not None and activation.scale > 0
        assert activation.offset is not None and -255 <= activation.offset <= 0
        assert f'"{activation.value}"' in recorder.graph.decode()
    assert recorder.model.outputs == [activations[-1].value]
    assert recorder.graph.count(b"fake_quantize_per_tensor_affine.default") == len(activations)
    assert recorder.model.metadata["adascale.version"]


def test_objections_stop_everything(tmp_path: Path) -> None:
    recorder = Recorder(["record: one thing; cure", "record: another; cure"])
    with pytest.raises(Error, match="one thing; cure.*another; cure"):
        export(tmp_path / "out", recorder)
    assert recorder.prepared == 1 and not (tmp_path / "out").exists()


def test_a_file_that_is_not_what_was_written_gets_no_name(tmp_path: Path) -> None:
    with pytest.raises(Error, match="tied.txt: got other bytes than were written; the file was read back"):
        export(tmp_path / "out", Recorder(text="damaged"))
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_does_not_read_back_is_no_format(tmp_path: Path) -> None:
    class Silent(Recorder):
        def prepare(self, model: QuantizedModel) -> Prepared:
            return Prepared(files=["tied.txt"], write=self.write)

    with pytest.raises(Error, match="record does not say how it writes and reads back .a bug of adascale"):
        export(tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_the_command_offers_them(capfd: pytest.CaptureFixture[str]) -> None:
    assert _C.run_command(["list", "formats"], [], []) == 0
    assert "what C++ tells" in capfd.readouterr().out
