"""llama.cpp runs our .gguf and finds our simulation's perplexity; its matmuls round activations to 8 bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blocks import marked
from llama_cpp_logits import logits_of, perplexity
from table import AddRow, Row
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

import adascale

DATA = Path(__file__).parents[2] / "bench" / "data"
SMOLLM2 = DATA / "smollm2"


def our_logits(folder: Path, rows: list[Any]) -> list[Any]:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        return [model(torch.tensor([row])).logits[0].float().numpy() for row in rows]


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("Q4_0", {"param_bw": 4}),
        ("Q4_1", {"param_bw": 4, "symmetric": False}),
        ("Q8_0", {"param_bw": 8}),
        ("Q4_K", {"param_bw": 4}),
    ],
)
def test_smollm2_has_our_perplexity(
    target: str, options: dict[str, Any], tmp_path: Path, add_row: AddRow
) -> None:
    # On fewer rows the 8 bits to which llama.cpp rounds activations are not averaged out.
    rows = list(np.load(DATA / "heldout.npy"))
    adascale.quantize(
        SMOLLM2,
        tmp_path,
        torch.from_numpy(np.load(DATA / "calib.npy")[:1]),
        formats=[f"gguf:{target}", "hf"],
        recipe="rtn",
        outside_bw=8,
        progress=False,
        **options,
    )
    ours = perplexity(our_logits(tmp_path, rows), rows)
    made = next(tmp_path.glob("*.gguf"))
    theirs = perplexity(logits_of(made, rows), rows)
    agreement, size = f"perplexity {ours:.3f} / {theirs:.3f}", f"{made.stat().st_size / 1e6:.1f} MB"
    add_row(Row(f"gguf:{target}", "llama-cpp-python", "SmolLM2-135M", agreement, size))
    assert theirs == pytest.approx(ours, rel=0.01)


@pytest.mark.parametrize(
    ("target", "bits"), [("Q2_K", 2), ("Q3_K", 3), ("Q4_K", 4), ("Q5_K", 5), ("Q6_K", 6)]
)
def test_a_llama_of_whole_superblocks_gives_our_logits(
    target: str, bits: int, tmp_path: Path, add_row: AddRow
) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.1,
    )
    source = tmp_path / "model"
    LlamaForCausalLM(config).save_pretrained(source)
    AutoTokenizer.from_pretrained(SMOLLM2).save_pretrained(source)
    rows = [np.random.default_rng(1).integers(0, 49152, 64)]
    adascale.quantize(
        source,
        tmp_path / "out",
        torch.from_numpy(np.random.default_rng(0).integers(0, 49152, (4, 32))),
        formats=[f"gguf:{target}", "hf"],
        param_bw=bits,
        outside_bw=6,
        iterations=4,
        batch_size=2,
        progress=False,
    )
    ours = our_logits(tmp_path / "out", rows)[0]
    theirs = logits_of(tmp_path / "out" / "model.gguf", rows)[0]
    off = float(np.abs(theirs - ours).mean() / ours.std())
    agreement = f"mean abs diff {off:.3f} of the logits' deviation"
    add_row(Row(f"gguf:{target}", "llama-cpp-python", "random Llama of 256", agreement))
    # For a model with random weights fp16 matmuls contribute 0.012, 8-bit activations 0.02 to 0.04.
    assert off < 0.05
    assert float(np.corrcoef(ours.flatten(), theirs.flatten())[0, 1]) > 0.998


def test_the_readme_s_program_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """As it is printed there, on the file that the command before it writes."""
    (tmp_path / "SmolLM2").symlink_to(SMOLLM2)
    monkeypatch.chdir(tmp_path)
    rows = torch.from_numpy(np.load(DATA / "calib.npy")[:1])
    options = {"formats": ["gguf:Q4_K"], "outside_bw": 8, "recipe": "rtn", "progress": False}
    adascale.quantize("SmolLM2", "gguf", rows, **options)
    capsys.readouterr()
    exec(marked("README.md", "llama").text, {})
    assert len(capsys.readouterr().out.split()) > 5


def test_text_becomes_the_same_tokens(tmp_path: Path) -> None:
    import llama_cpp

    adascale.quantize(
        SMOLLM2,
        tmp_path,
        torch.from_numpy(np.load(DATA / "calib.npy")[:1]),
        formats=["gguf"],
        param_bw=4,
        recipe="rtn",
        progress=False,
    )
    model = llama_cpp.Llama(str(next(tmp_path.glob("*.gguf"))), vocab_only=True, verbose=False)
    tokenizer = AutoTokenizer.from_pretrained(SMOLLM2)
    for text in ["Hello, world! 1234 times", "<|im_start|>user\nÜber 3.14<|im_end|>\n", "  a\t\tb\n\nc"]:
        tokens = model.tokenize(text.encode(), add_bos=False, special=True)
        assert tokens == tokenizer(text)["input_ids"]
