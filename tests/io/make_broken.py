"""Writes FOLDER/<fault>.pt2: copies of one good program, each with one fault, and "good.pt2" itself,
written anew by another zip writer (records at unaligned offsets).

usage: make_broken.py FOLDER
"""

import io
import json
import sys
import zipfile
from pathlib import Path

import torch

WEIGHTS = "data/weights/model_weights_config.json"


def good_records():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU()).eval()
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(model, (torch.ones(2, 3),)), buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def write(path, records, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr("archive/" + name, data)


def edited(records, record, edit):
    """A copy in which `edit` has changed the JSON of one record."""
    document = json.loads(records[record])
    edit(document)
    return records | {record: json.dumps(document).encode()}


def first_node(document):
    return document["graph_module"]["graph"]["nodes"][0]


def set_at(name, key, value):
    def edit(document):
        document["config"][name][key] = value

    return edit


def set_meta(name, key, value):
    def edit(document):
        document["config"][name]["tensor_meta"][key] = value

    return edit


def set_sizes(sizes):
    """A view that repeats the first element."""

    def edit(document):
        meta = document["config"]["0.weight"]["tensor_meta"]
        meta["sizes"] = [{"as_int": size} for size in sizes]
        meta["strides"] = [{"as_int": 0} for _ in sizes]

    return edit


def main(folder):
    records = good_records()
    model = "models/model.json"
    write(folder / "good.pt2", records)
    write(folder / "compressed.pt2", records, zipfile.ZIP_DEFLATED)
    write(folder / "no_model.pt2", {k: v for k, v in records.items() if k != model})
    write(folder / "no_weight.pt2", {k: v for k, v in records.items() if k != "data/weights/weight_0"})
    write(folder / "bad_json.pt2", records | {model: records[model][:-200]})
    write(folder / "old.pt2", {"serialized_exported_program.json": b"{}", "version": b"8.1"})
    write(folder / "big_endian.pt2", records | {"byteorder": b"big"})
    write(folder / "bomb.pt2", records | {WEIGHTS: b" " * 2**24}, zipfile.ZIP_DEFLATED)
    write(folder / "deep.pt2", records | {model: b"[" * 2**20})
    write(folder / "short_weight.pt2", records | {"data/weights/weight_0": b"\0" * 8})
    broken = {
        "schema": (model, lambda d: d["schema_version"].update(major=9)),
        "no_schema": (model, lambda d: d.pop("schema_version")),
        "no_graph": (model, lambda d: d["graph_module"].pop("graph")),
        "operator": (model, lambda d: first_node(d).update(target="torch.ops.mine.secret.default")),
        "argument": (model, lambda d: first_node(d)["inputs"][0].update(arg={"as_riddle": 3})),
        "undefined": (
            model,
            lambda d: first_node(d)["inputs"][0].update(arg={"as_tensor": {"name": "ghost"}}),
        ),
        "pickled": (WEIGHTS, set_at("0.weight", "use_pickle", True)),
        "beyond": (WEIGHTS, set_meta("0.weight", "storage_offset", {"as_int": 1})),
        "huge": (WEIGHTS, set_meta("0.weight", "strides", [{"as_int": 2**62}, {"as_int": 2**62}])),
        "overflowing": (WEIGHTS, set_sizes([2**40, 2**40, 0])),
        "repeated": (WEIGHTS, set_sizes([2**36, 3])),
        "float": (WEIGHTS, set_meta("0.weight", "dtype", 1e300)),
        "negative": (WEIGHTS, set_meta("0.weight", "storage_offset", {"as_int": -4})),
        "dtype": (WEIGHTS, set_meta("0.weight", "dtype", 99)),
        "missing": (WEIGHTS, lambda d: d["config"].pop("0.bias")),
    }
    for name, (record, edit) in broken.items():
        write(folder / f"{name}.pt2", edited(records, record, edit))
    torch.save({"weight": torch.ones(2)}, folder / "checkpoint.pt2")


torch.manual_seed(0)
main(Path(sys.argv[1]))
