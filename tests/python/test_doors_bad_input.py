"""A fault in a folder, its data or the output is reported in one line, and leaves no files behind."""

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from adascale.formats.file_errors import writing
from adascale.formats.hf_saved import SavedWriter
from adascale.formats.quantized import QuantizedModel
from forked_command import run
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from small_folders import QUICK, TEXT, llama_folder, tiny_llama, tiny_tokenizer, write_text
from transformers import AutoModelForCausalLM

import adascale
from adascale import _C

pytestmark = pytest.mark.usefixtures("kept_captures")


def test_options_and_formats_are_refused_before_the_data_is_read(tmp_path: Path) -> None:
    data = (pytest.fail("the data was read") for _ in range(1))
    with pytest.raises(adascale.Error) as raised:
        adascale.quantize("no folder", tmp_path / "out", data, formats=["nope"], param_bw=77)
    assert "param_bw" in str(raised.value) and "'nope'" in str(raised.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return llama_folder(tmp_path / "model")


def fails(model: Any, text: str, out: Path, data: Any = (TEXT,), **options: Any) -> None:
    existed = sorted(out.iterdir()) if out.exists() else None
    with pytest.raises(adascale.Error) as raised:
        adascale.quantize(model, out, list(data) if isinstance(data, tuple) else data, **{**QUICK, **options})
    assert text in str(raised.value) and "\n" not in str(raised.value)
    assert (sorted(out.iterdir()) if out.exists() else None) == existed


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def drop_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def only(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"x")


SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no tokenizer": (
        lambda f: (f / "tokenizer.json").unlink(),
        "no tokenizer in it (such as tokenizer.json)",
    ),
    "bad tokenizer": (lambda f: (f / "tokenizer.json").write_text("{"), "its tokenizer cannot be loaded"),
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json, so no transformers model folder"),
    "bad config": (lambda f: (f / "config.json").write_text("{"), "its config cannot be loaded"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no weights in it, expected .safetensors"),
    "pickle": (lambda f: only(f, "pytorch_model.bin"), "its weights are pickled (pytorch_model.bin)"),
    "onnx": (lambda f: only(f, "model.onnx"), "holds ONNX, which is not opened"),
    "a weight less": (
        drop_weight,
        "LlamaForCausalLM lacks weights there, or they have other shapes: model.la",
    ),
    "other shapes": (lambda f: edit_config(f, intermediate_size=40), "or they have other shapes"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes(b"\0" * 64),
        "model.safetensors: is damaged or cut off",
    ),
    "unknown class": (lambda f: edit_config(f, architectures=["MyModel"]), "has no MyModel"),
    "unknown type": (
        lambda f: edit_config(f, model_type="nosuch"),
        "has no model type 'nosuch'; install a version that has it, or load the model yourself",
    ),
    "a type that is no text": (
        lambda f: edit_config(f, model_type=["llama"]),
        "its config cannot be loaded",
    ),
    "a config that is a folder": (
        lambda f: ((f / "config.json").unlink(), (f / "config.json").mkdir()),
        "its config cannot be loaded",
    ),
    "own code": (
        lambda f: edit_config(f, model_type="nosuch", auto_map={"AutoConfig": "own.Config"}),
        "has no model type 'nosuch', and the folder's own code is never run; load it yourself",
    ),
    "no class": (lambda f: edit_config(f, architectures=None), "config.json names 0 architectures"),
    "quantized": (
        lambda f: edit_config(f, quantization_config={"quant_method": "gptq", "bits": 4}),
        "is quantized already",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_folder(name: str, folder: Path, tmp_path: Path) -> None:
    spoil, text = SPOILT[name]
    spoil(folder)
    fails(folder, text, tmp_path / "out")


def test_onnx_and_nothing(tmp_path: Path) -> None:
    fails("model.onnx", "ONNX models are not opened; give the PyTorch model", tmp_path / "out")
    fails(tmp_path / "none", "no such file or folder", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "no weights in it", tmp_path / "out")
    ran = run("quantize", "model.onnx", "--data", "x.txt", "--output-dir", tmp_path / "out")
    assert ran.returncode == 2 and "ONNX" in ran.stderr and ran.stderr.count("\n") == 1


def test_bad_text_is_found_before_the_weights(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"unreadable")
    fails(folder, "a.txt: no text in it", tmp_path / "out", write_text(tmp_path / "a.txt", ""))
    fails(folder, "a.csv: got .csv", tmp_path / "out", write_text(tmp_path / "a.csv"))
    fails(
        folder,
        "data_weights: got 1 numbers for 2 files",
        tmp_path / "out",
        [write_text(tmp_path / "a.txt"), write_text(tmp_path / "b.txt")],
        data_weights=[1.0],
    )
    fails(folder, "none.txt: there is no such file", tmp_path / "out", tmp_path / "none.txt")


def test_exit_codes(folder: Path, tmp_path: Path) -> None:
    data = write_text(tmp_path / "a.txt", "")
    ran = run("quantize", folder, "--data", data, "--output-dir", tmp_path / "out")
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.startswith("adascale: error: ") and ran.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_output_folder(folder: Path, tmp_path: Path) -> None:
    fails(folder, "is the model's own folder", folder)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    fails(loaded, "is the model's own folder", folder, tokenizer=tiny_tokenizer())
    sharded = llama_folder(tmp_path / "sharded", max_shard_size="20KB")
    fails(sharded, "holds model.safetensors of another model", shutil.copytree(folder, tmp_path / "other"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(adascale.Error, match="is a file, expected a folder"):
        adascale.quantize(folder, tmp_path / "file", [TEXT], **QUICK)
    assert (tmp_path / "file").read_text() == "mine"


def objections(writer: Any, folder: Path) -> list[str]:
    """To writing a model without changes into the folder."""
    nothing: dict[str, Any] = dict.fromkeys((f.name for f in fields(QuantizedModel)), [])
    return list(writer.prepare(QuantizedModel(**nothing | {"folder": str(folder)})).objections)


def test_the_folder_of_a_gguf_is_its_own(folder: Path, tmp_path: Path) -> None:
    saved = SavedWriter(tiny_llama(), None, str(folder))
    assert objections(saved, folder) == [f"{folder}: is the model's own folder; choose another folder"]
    (tmp_path / "link").symlink_to(folder)
    assert objections(saved, tmp_path / "link") != []
    assert objections(saved, tmp_path / "new") == []


def test_two_formats_of_one_file(folder: Path, tmp_path: Path) -> None:
    fails(
        folder,
        "model.safetensors: both hf and safetensors write it",
        tmp_path / "out",
        formats=["hf", "safetensors"],
    )
    fails(folder, "formats: got 'gguf2', expected some of", tmp_path / "out", formats=["gguf2"])


@pytest.mark.parametrize(
    ("place", "text"),
    [("out", "cannot be written: No space left on device; make room there and run again"),
     ("model", "cannot be read: ")],
)  # fmt: skip
def test_a_failure_while_copying_leaves_nothing(
    place: str, text: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the file that failed, the source's or ours."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    (folder / "notes.txt").write_text("mine")
    if place == "out":
        monkeypatch.setattr(Path, "write_bytes", full)
    else:
        content = Path.read_bytes
        monkeypatch.setattr(
            Path, "read_bytes", lambda path: full() if path.name == "notes.txt" else content(path)
        )
    fails(folder, text, tmp_path / "out")


def test_a_librarys_error_about_a_file_becomes_ours() -> None:
    full = SafetensorError("I/O error: No space left on device (os error 28)")
    with (
        pytest.raises(adascale.Error, match="^out: cannot be written: .*No space.*; is there room, and may"),
        writing("out", SafetensorError),
    ):
        raise full
    with pytest.raises(KeyError), writing("out", SafetensorError):
        raise KeyError("a bug")


def test_text_options_for_tensors(folder: Path, tmp_path: Path) -> None:
    batch = {"input_ids": torch.randint(300, (4, 16))}
    fails(
        folder,
        "packing: for text, and the data is tensors",
        tmp_path / "out",
        [batch],
        packing="padded",
        seq_len=None,
    )
    fails(
        folder,
        "data: 'tokens': none of LlamaForCausalLM's inputs",
        tmp_path / "out",
        [{"tokens": batch["input_ids"]}],
        seq_len=None,
    )


def test_data_in_memory_takes_no_weights(folder: Path, tmp_path: Path) -> None:
    for data in ([TEXT], torch.rand(4, 4)):
        fails(
            folder,
            "data in memory takes no weights",
            tmp_path / "out",
            data,
            data_weights=[1.0],
            seq_len=None,
        )


def test_text_without_a_tokenizer(tmp_path: Path) -> None:
    fails(tiny_llama(), "text data needs the model's tokenizer; give tokenizer", tmp_path / "out")
    linear = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    fails(linear, "text data is for transformers models", tmp_path / "out", tokenizer=tiny_tokenizer())


def test_encoder_decoders_want_more_than_text(tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=320, d_model=16, d_ff=32, num_layers=1, num_heads=2, d_kv=8)
    model = T5ForConditionalGeneration(config)
    fails(model, "an encoder-decoder takes no plain text", tmp_path / "out", tokenizer=tiny_tokenizer())


def test_options_are_checked_before_anything(tmp_path: Path) -> None:
    fails("none", "param_bw: got 1, expected 2 to 16", tmp_path / "out", param_bw=1)
    fails("none", "packing: got 'tight', expected", tmp_path / "out", packing="tight")
    fails("none", "formats: got the string 'hf'", tmp_path / "out", formats="hf")
    with pytest.raises(TypeError, match="unknown keyword 'bits'"):
        adascale.quantize("none", tmp_path / "out", [TEXT], bits=4)  # type: ignore[call-arg]


def test_what_a_door_raises_otherwise_is_no_fault_of_the_users() -> None:
    class Broken:
        name, description, data = "broken", "anything", "anything"
        formats: list[str] = []

        def matches(self, model: str) -> bool:
            return model == "x"

        def open(self, model: str, data: Any) -> Any:
            raise KeyError("a bug")

    assert _C.run_command(["inspect", "x"], [Broken()]) == 1
