"""tools/check_layers.py on small wrong trees: each rule is broken once, and named with file and line."""

from pathlib import Path

import check_layers
import pytest

ROOT = Path(__file__).resolve().parents[2]


def faults(root: Path, path: str, *lines: str) -> list[str]:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return check_layers.faults_of(root)


@pytest.mark.parametrize("room", check_layers.BELOW)
def test_every_room_may_include_itself_and_all_below(tmp_path, room):
    lines = [f'#include "adascale/{below}/x.h"' for below in check_layers.allowed(room)]
    assert faults(tmp_path, f"adascale/{room}/a.cpp", *lines, "#include <vector>") == []


@pytest.mark.parametrize("room", check_layers.BELOW)
def test_no_room_may_include_what_is_not_below(tmp_path, room):
    upward = sorted(check_layers.BELOW.keys() - check_layers.allowed(room)) + ["cli"]
    lines = [f'#include "{"" if r == "cli" else "adascale/"}{r}/x.h"' for r in upward]
    found = faults(tmp_path, f"adascale/{room}/a.h", "#pragma once", *lines)
    assert [fault.split(" ")[0] for fault in found] == [
        f"adascale/{room}/a.h:{number}:" for number in range(2, len(lines) + 2)
    ]


def test_the_arrows_are_those_of_the_design():
    below = {"sim", "io", "graph", "device", "quant", "kernels", "core"}
    assert check_layers.allowed("formats") == {"formats"} | below
    assert check_layers.allowed("run") == {"run", "tune", "formats"} | below
    assert "tune" not in check_layers.allowed("formats")
    assert "formats" not in check_layers.allowed("tune")
    assert "graph" not in check_layers.allowed("quant")
    assert "quant" not in check_layers.allowed("io")


def test_upward_include_names_the_line_and_what_is_allowed(tmp_path):
    found = faults(tmp_path, "adascale/quant/a.cpp", "", '#include "adascale/graph/program.h"')
    assert found == [
        'adascale/quant/a.cpp:2: quant/ may include only "adascale/<folder>/..." of core, device, kernels, '
        'quant, but includes "adascale/graph/program.h"'
    ]


@pytest.mark.parametrize("folder", ["core", "kernels"])
@pytest.mark.parametrize("header", ["torch/torch.h", "ATen/core/Tensor.h", "c10/util/Exception.h"])
def test_no_torch_in_core_and_kernels(tmp_path, folder, header):
    (found,) = faults(tmp_path, f"adascale/{folder}/a.h", f"#include <{header}>")
    assert f"{folder}/ is free of torch" in found
    assert faults(tmp_path, f"adascale/{folder}/a.h", "#include <vector>") == []


def test_include_that_hides_its_folder(tmp_path):
    (found,) = faults(tmp_path, "adascale/sim/a.cpp", '#include "a.h"')
    assert 'but includes "a.h"' in found


def test_umbrella_is_for_users(tmp_path):
    (found,) = faults(tmp_path, "adascale/sim/a.cpp", '#include "adascale/adascale.h"')
    assert 'but includes "adascale/adascale.h"' in found
    (tmp_path / "adascale/sim/a.cpp").unlink()
    assert faults(tmp_path, "examples/cpp/main.cpp", "#include <adascale/adascale.h>") == []


def test_source_file_is_never_included(tmp_path):
    (found,) = faults(tmp_path, "tests/core/a_test.cpp", '#include "adascale/core/error.cpp"')
    assert "includes the source file" in found


def test_catch_needs_a_door_or_a_reason(tmp_path):
    bare = ["try {", "} catch (const Error& error) {", "}"]
    (found,) = faults(tmp_path, "adascale/io/a.cpp", *bare)
    assert found.startswith("adascale/io/a.cpp:2: catch belongs in")
    assert faults(tmp_path, "adascale/io/a.cpp", "} catch (...) {  // boundary: zip reader's own type") == []
    assert faults(tmp_path, "adascale/io/a.cpp", "// boundary: the zip reader's", "} catch (...) {") == []
    assert faults(tmp_path, "adascale/io/a.cpp", "// what a catch (...) would hide") == []
    assert faults(tmp_path, "cli/main.cpp", *bare) == []


def test_unknown_folder_needs_a_row(tmp_path):
    (found,) = faults(tmp_path, "adascale/misc/a.h", "#pragma once")
    assert found.startswith("adascale/misc/a.h:1: misc/ is no layer")


def test_an_empty_tree_is_not_a_clean_one(tmp_path):
    with pytest.raises(SystemExit, match="no C\\+\\+ file under"):
        check_layers.faults_of(tmp_path)


def test_this_tree_is_clean():
    assert check_layers.faults_of(ROOT) == []
