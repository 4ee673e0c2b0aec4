"""Reads exported files with the tools they are made for; any difference raises an exception.

reload.py pt2 MODEL.pt2 CALL.safetensors ...     CALL: the inputs "0", "1".. and the outputs "out0", "out1"..
reload.py state MODEL.safetensors MODEL.pt2 ...  loads the state into the module of the original program
reload.py same MODEL.safetensors MODEL.pt2 ...   both files hold the same values under the same names

Any number of pairs.
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file


def check_pt2(path, call_path):
    call = load_file(call_path)
    inputs = [call[str(i)] for i in range(len(call)) if str(i) in call]
    outputs = torch.export.load(path).module()(*inputs)
    outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    expected = [call[f"out{i}"] for i in range(len(call) - len(inputs))]
    assert len(outputs) == len(expected), (len(outputs), len(expected))
    for i, (got, want) in enumerate(zip(outputs, expected, strict=True)):
        assert torch.equal(got, want), f"output {i} differs by up to {(got - want).abs().max()}"


def whole_state(path):
    with safe_open(path, "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a safetensors file is no dict)
        ties = {k: v for k, v in file.metadata().items() if v in state}
    return state | {name: state[kept] for name, kept in ties.items()}


def check_state(path, program_path):
    state = whole_state(path)
    program = torch.export.load(program_path)
    assert state.keys() == program.state_dict.keys(), state.keys() ^ program.state_dict.keys()
    program.module().load_state_dict(state, strict=True)


def check_same(path, program_path):
    state, program = whole_state(path), torch.export.load(program_path)
    assert state.keys() == program.state_dict.keys(), state.keys() ^ program.state_dict.keys()
    for name, tensor in program.state_dict.items():
        assert torch.equal(tensor, state[name]), name


if __name__ == "__main__":
    check = {"pt2": check_pt2, "state": check_state, "same": check_same}[sys.argv[1]]
    for pair in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
        check(*pair)
