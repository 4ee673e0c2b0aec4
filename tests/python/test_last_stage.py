"""The recipe ``best``: after the blocks, scales learn on the model's own output."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_folders import llama_folder, write_text
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

import adascale

pytestmark = pytest.mark.usefixtures("kept_captures")

OPTIONS: dict[str, Any] = {"iterations": 30, "samples": 32, "seq_len": 16, "batch_size": 2, "progress": False}


def test_best_is_closer_to_the_models_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder, text = llama_folder(tmp_path / "model"), write_text(tmp_path / "text.txt")
    tokens = AutoTokenizer.from_pretrained(folder)(text.read_text(), return_tensors="pt").input_ids[0]
    rows = tokens[: 32 * 16].reshape(32, 16)

    def divergence(out: Path) -> float:
        with torch.no_grad():
            logits = [AutoModelForCausalLM.from_pretrained(place)(rows).logits for place in (folder, out)]
        fp, quant = (functional.log_softmax(one.flatten(0, 1).double(), -1) for one in logits)
        return functional.kl_div(quant, fp, reduction="batchmean", log_target=True).item()

    found = {}
    for recipe in ("fast", "best"):
        out = tmp_path / recipe
        options = {**OPTIONS, "iterations": 100, "held_out_batches": 2}
        adascale.quantize(folder, out, text, **options, param_bw=2, recipe=recipe, formats=["hf"])
        found[recipe] = divergence(out)
    assert found["best"] < found["fast"]
    report = json.loads((tmp_path / "best" / "report.json").read_text())
    stage = report["last_stage"]
    assert stage["kept"] and stage["held_out_after"] < stage["held_out_before"]
    assert report["plan"]["training"]["held_out_batches"] == 2
    assert "last_stage" not in json.loads((tmp_path / "fast" / "report.json").read_text())


def test_the_floats_of_lpbqs_channels_learn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder, text = llama_folder(tmp_path / "model"), write_text(tmp_path / "text.txt")
    options = {**OPTIONS, "samples": 96, "iterations": 100, "param_bw": 2}
    options |= {"group_size": 16, "decompressed_bw": 8}
    out = tmp_path / "out"
    adascale.quantize(folder, out, text, **options, recipe="best", formats=["encodings", "safetensors"])
    assert json.loads((out / "report.json").read_text())["last_stage"]["kept"]
    weights, found = load_file(out / "model.safetensors"), 0
    for entry in json.loads((out / "model.encodings").read_text())["param_encodings"]:
        channels = torch.tensor(entry["scale"])
        integers = torch.tensor(entry["per_block_int_scale"]).view(len(channels), -1)
        scales = channels[:, None] * integers
        codes = weights[entry["name"]].unflatten(1, (-1, 16)) / scales[..., None]
        assert torch.allclose(codes, codes.round(), atol=1e-4)
        assert codes.min() >= -2.001 and codes.max() <= 1.001
        found += 1
    assert found == 14


def test_a_run_that_is_stopped_in_it_repeats_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    folder, text = llama_folder(tmp_path / "model"), write_text(tmp_path / "text.txt")
    options = {**OPTIONS, "iterations": 4, "packing": "padded", "recipe": "best"}
    adascale.quantize(folder, tmp_path / "whole", text, **options)

    class Stop(Exception):
        pass

    def shown(self: Any, stage: str, *_: Any) -> None:
        if stage == "last stage":
            raise Stop

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(
            adascale.progress.Progress, "__enter__", lambda self: lambda *event: shown(self, *event)
        )
        adascale.quantize(folder, tmp_path / "out", text, **options)
    assert (tmp_path / "out.checkpoint" / "block-00001.safetensors").exists()
    adascale.quantize(folder, tmp_path / "out", text, **options, resume=True)
    for path in (tmp_path / "whole").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path.name
