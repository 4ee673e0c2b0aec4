"""Modules in memory and out of functions: transformers models with texts, any other with tensors."""

import os
from pathlib import Path

import pytest
import torch
from forked_command import run
from safetensors.torch import save_file
from small_folders import QUICK, TEXT, llama_folder, tiny_llama, tiny_tokenizer
from small_models import ConsecutiveBlocks, SmallCnn, randomize_batch_norms
from torch import Tensor, nn
from torch.export import Dim
from transformers import AutoModelForCausalLM, AutoTokenizer

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

FEW = {"iterations": 2, "batch_size": 4, "progress": False}


class Cnn(nn.Module):
    """A CNN like timm's and torchvision's: a stem, blocks with batch norms, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.stages = nn.Sequential(*(self._block() for _ in range(3)))
        self.head = nn.Linear(8, 5)

    @staticmethod
    def _block() -> nn.Sequential:
        first, second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        return nn.Sequential(first, nn.BatchNorm2d(8), nn.ReLU(), second, nn.BatchNorm2d(8))

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(image)).mean((2, 3)))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("tied", [False, True])
def test_a_transformers_model(tied: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = tiny_llama(tied=tied), tiny_tokenizer()
    before = weights_of(model)
    report = adascale.quantize(model, tmp_path, [TEXT], tokenizer=tokenizer, param_bw=3, **QUICK)
    assert [block.name for block in report.blocks] == ["model.layers.0", "model.layers.1"]
    assert same(model, before) and model.config.use_cache
    said = capsys.readouterr().out
    assert "lm_head (Linear): outside every block" in said and "wrote" in said
    saved = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, tensor in saved.state_dict().items():
        assert torch.equal(tensor, before[name]) is ("_proj" not in name), name
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXT) == tokenizer(TEXT)
    assert not list(tmp_path.glob(".adascale-*"))


def test_token_ids_instead_of_text(tmp_path: Path) -> None:
    batches = [{"input_ids": torch.randint(300, (2, 16))} for _ in range(3)]
    adascale.quantize(tiny_llama(), tmp_path, batches, **FEW)
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("form", ["tensor", "list", "dicts", "tuples", "loader"])
def test_a_cnn_with_tensors(form: str, tmp_path: Path) -> None:
    model = randomize_batch_norms(Cnn()).eval()
    images, before = torch.rand(8, 3, 12, 12), weights_of(model)
    data = {
        "tensor": images,
        "list": list(images.split(3)),
        "dicts": [{"image": part} for part in images.split(4)],
        "tuples": [(part,) for part in images.split(4)],
        "loader": torch.utils.data.DataLoader(images, batch_size=4),  # type: ignore[arg-type]
    }[form]
    report = adascale.quantize(model, tmp_path, data, output_bw=16, **FEW)
    assert len(report.blocks) == 3 and same(model, before)
    assert {path.name for path in tmp_path.iterdir()} == {
        "Cnn.encodings",
        "Cnn.pt2",
        "Cnn.safetensors",
        "Cnn_torch.encodings",
        "report.html",
        "report.json",
    }
    quantized = torch.export.load(tmp_path / "Cnn.pt2").module()(images)
    assert torch.nn.functional.cosine_similarity(quantized, model(images)).min() > 0.9


def test_a_cnn_of_one_block_is_trained_whole(tmp_path: Path) -> None:
    adascale.quantize(SmallCnn().eval(), tmp_path, torch.rand(4, 3, 9, 9), **FEW)


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    model, out = Cnn().eval(), tmp_path / "out"
    with pytest.raises(adascale.Error, match="'image' has shapes .* differ along dimension 0 alone"):
        adascale.quantize(model, out, [torch.rand(2, 3, 9, 9), torch.rand(2, 3, 12, 12)], **FEW)
    with pytest.raises(adascale.Error, match="^data: 'image' holds NaN or infinity$"):
        adascale.quantize(model, out, torch.full((2, 3, 9, 9), torch.nan), **FEW)
    image = torch.rand(2, 3, 9, 9)
    for data, text in [
        ([{"picture": image}], "^data: missing .* 'image' .*picture.*; the model's arguments are image$"),
        ([(image, image)], "^data: too many positional arguments"),
        ([image, (image, image)], "^data: batch 1: too many positional arguments"),
    ]:
        with pytest.raises(adascale.Error, match=text):
            adascale.quantize(model, out, data, **FEW)
    assert not out.exists()


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x + y)))


def test_shapes_that_do_not_fit_are_said_of_their_file(tmp_path: Path) -> None:
    program, data = tmp_path / "two.pt2", tmp_path / "xy.safetensors"
    example, sizes = (torch.rand(4, 7, 16), torch.rand(4, 7, 16)), {0: Dim.AUTO, 1: Dim.AUTO}
    torch.export.save(torch.export.export(Two().eval(), example, dynamic_shapes=(sizes, sizes)), program)
    save_file({"x": torch.rand(8, 7, 16), "y": torch.rand(8, 6, 16)}, data)
    with pytest.raises(adascale.Error, match=r"^\S+/xy.safetensors: input 'y': size of dimension 1 is 6, "):
        adascale.quantize(program, tmp_path / "out", data, **FEW)
    with pytest.raises(
        adascale.Error, match=r"^\S+/xy.safetensors: the model does not run on it: The size of"
    ):
        adascale.quantize(Two().eval(), tmp_path / "out", data, **FEW)
    assert not (tmp_path / "out").exists()


def test_data_in_memory_has_a_name_in_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adascale.quantize(Cnn().eval(), tmp_path, torch.rand(4, 3, 9, 9), **FEW)
    assert "data      in memory: 4 samples" in capsys.readouterr().out


class Branching(Cnn):
    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image if image.sum().item() > 0 else image + 1)


def test_a_model_that_does_not_export_is_taken_block_by_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, images = Branching().eval(), torch.rand(4, 3, 9, 9)
    report = adascale.quantize(model, tmp_path, images, **FEW)
    assert [block.name for block in report.blocks] == [f"stages.{i}" for i in range(3)]
    assert "test_doors_module.py" in capsys.readouterr().out
    assert (tmp_path / "Branching.safetensors").exists() and not (tmp_path / "Branching.pt2").exists()


def test_a_pt2_by_its_path(tmp_path: Path) -> None:
    program = torch.export.export(
        ConsecutiveBlocks(16, 2).eval(), (torch.rand(2, 16),), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    torch.export.save(program, tmp_path / "model.pt2")
    save_file({"x": torch.rand(8, 16)}, tmp_path / "x.safetensors")
    report = adascale.quantize(tmp_path / "model.pt2", tmp_path / "out", tmp_path / "x.safetensors", **FEW)
    assert len(report.blocks) == 2 and (tmp_path / "out" / "model.pt2").exists()
    with pytest.raises(adascale.Error, match="a .pt2 takes its data from a .safetensors"):
        adascale.quantize(tmp_path / "model.pt2", tmp_path / "out", torch.rand(8, 16), **FEW)
    with pytest.raises(adascale.Error, match="seq_len: for text only, and a .pt2 takes none"):
        adascale.quantize(
            tmp_path / "model.pt2", tmp_path / "out", tmp_path / "x.safetensors", seq_len=8, **FEW
        )


FUNCTIONS = """
import torch
from small_folders import tiny_llama, tiny_tokenizer
from small_models import ConsecutiveBlocks

def plain(): return ConsecutiveBlocks(16, 2)
def example(): return plain(), torch.rand(2, 16)
def language(): return tiny_llama(), tiny_tokenizer()
def wrong(): return 3
def broken(): raise ValueError("no such model")
"""


def test_a_function_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_models.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    save_file({"x": torch.rand(8, 16)}, tmp_path / "x.safetensors")
    (tmp_path / "a.txt").write_text(TEXT)
    few = ["--iterations", 2, "--output-dir"]
    assert run("quantize", "my_models:plain", "--data", "x.safetensors", *few, "plain").returncode == 0
    assert (tmp_path / "plain" / "plain.pt2").exists()
    assert run("evaluate", "my_models:plain", "plain", "--data", "x.safetensors").returncode == 0
    sizes = ["--seq-len", 16, "--samples", 4, "--format", "hf"]
    made = run("quantize", "my_models:language", "--data", "a.txt", *sizes, *few, "language")
    assert made.returncode == 0, made.stderr
    AutoModelForCausalLM.from_pretrained(tmp_path / "language")

    untold = run("quantize", "my_models:plain", "--data", "a.txt", *few, "untold")
    cure = "text data needs the model's tokenizer; return (module, tokenizer) from the function\n"
    assert untold.returncode == 2 and untold.stderr.endswith(cure), untold.stderr

    assert run("inspect", "my_models:example").returncode == 0
    (tmp_path / "fails.py").write_text('raise RuntimeError("two")')
    (tmp_path / "misspelt.py").write_text("def model() return 3")
    for model, text in [
        ("fails:model", "adascale: error: fails:model: cannot be imported: two"),
        ("misspelt:model", "misspelt:model: cannot be imported: SyntaxError: "),
        ("my_models:plain", "nothing says what its input is; give --data, or return (module, example)"),
        ("my_models:wrong", "my_models:wrong: returned int, expected an nn.Module"),
        ("my_models:broken", "the function failed: ValueError: no such model"),
        ("my_models:none", "my_models:none: "),
        ("none:none", "No module named 'none'"),
    ]:
        ran = run("inspect", model)
        assert ran.returncode == 2 and text in ran.stderr, ran.stderr
        assert ran.stderr.count("\n") == 1


def test_vision_models_take_tensors(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    save_file({"pixel_values": torch.rand(6, 3, 8, 8)}, tmp_path / "x.safetensors")
    assert run("inspect", tmp_path / "vit").returncode == 0
    report = adascale.quantize(tmp_path / "vit", tmp_path / "out", tmp_path / "x.safetensors", **FEW)
    assert len(report.blocks) == 2
    ViTForImageClassification.from_pretrained(tmp_path / "out")


def test_folded_norms_come_out_in_the_folder_too(tmp_path: Path) -> None:
    """The quantized convolutions contain their norms' factors: followed by the old norms they would be
    wrong."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2], num_labels=3)
    model = ResNetForImageClassification(config).eval()
    randomize_batch_norms(model)
    model.save_pretrained(tmp_path / "resnet")
    images = torch.rand(6, 3, 32, 32)
    save_file({"pixel_values": images}, tmp_path / "x.safetensors")
    for source, out in ((tmp_path / "resnet", "folder"), (model, "module")):
        adascale.quantize(
            source,
            tmp_path / out,
            tmp_path / "x.safetensors",
            formats=["hf", "safetensors"],
            **{**FEW, "batch_size": 2},
            param_bw=8,
        )
        loaded = ResNetForImageClassification.from_pretrained(tmp_path / out).eval()
        with torch.no_grad():
            expected, got = model(images).logits, loaded(images).logits
        assert not torch.equal(got, expected), "it is quantized"
        assert (got - expected).norm() < 0.05 * expected.norm()


def test_encoders_are_padded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=320, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    config.architectures = ["BertModel"]
    BertModel(config).save_pretrained(tmp_path / "bert")
    tiny_tokenizer().save_pretrained(tmp_path / "bert")
    (tmp_path / "a.txt").write_text(TEXT)
    adascale.quantize(tmp_path / "bert", tmp_path / "out", tmp_path / "a.txt", **{**QUICK, "samples": None})
    assert "120 samples" in capsys.readouterr().out


def test_a_folder_takes_texts_in_memory(tmp_path: Path) -> None:
    source = llama_folder(tmp_path / "model")
    records = [{"text": TEXT}, {"text": "the lazy dog"}]
    assert adascale.quantize(source, tmp_path / "out", records, **QUICK).blocks
