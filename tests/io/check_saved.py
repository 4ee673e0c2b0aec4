"""Loads every FOLDER/*.pt2 with torch.export.load and compares its outputs, bit for bit, with those recorded
beside it in <name>.safetensors ("input.0", "output.0", flat). Exits with a message at the first difference.

usage: check_saved.py FOLDER
"""

import sys
from pathlib import Path

import torch
import transformers.modeling_outputs  # noqa: F401  (importing it registers the output classes that programs return)
from safetensors.torch import load_file
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.utils import _pytree as pytree


def flat_inputs(program, record):
    specs = [spec for spec in program.graph_signature.input_specs if spec.kind == InputKind.USER_INPUT]
    return [
        spec.arg.value if isinstance(spec.arg, ConstantArgument) else record[f"input.{i}"]
        for i, spec in enumerate(specs)
    ]


def main(folder):
    paths = sorted(folder.glob("*.pt2"))
    if not paths:
        sys.exit(f"{folder}: no programs")
    for path in paths:
        program = torch.export.load(path)
        # Copies: matmuls round differently on less aligned data, as in the middle of a file.
        record = {
            name: tensor.clone() for name, tensor in load_file(path.with_suffix(".safetensors")).items()
        }
        args, kwargs = pytree.tree_unflatten(flat_inputs(program, record), program.call_spec.in_spec)
        with torch.no_grad():
            result = program.module()(*args, **kwargs)
        for i, output in enumerate(pytree.tree_leaves(result, is_leaf=lambda leaf: leaf is None)):
            if torch.is_tensor(output) and not torch.equal(output, record[f"output.{i}"]):
                sys.exit(f"{path}: output {i} differs by {(output - record[f'output.{i}']).abs().max()}")


main(Path(sys.argv[1]))
