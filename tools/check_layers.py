#!/usr/bin/env python3
"""A folder is a layer: fails on an #include that points upward, on torch in core/ or kernels/, on a stray
catch.

    tools/check_layers.py [ROOT]

Prints `file:line: rule` for each fault and exits 1 if there was any. ARCHITECTURE.md draws the arrows.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from source_files import show_faults, source_files

# The folders that a folder may include directly beside itself; arrows are transitive.
BELOW = {
    "core": [],
    "kernels": ["core"],
    "device": ["core"],
    "quant": ["device", "kernels"],
    "graph": ["device"],
    "io": ["graph"],
    "sim": ["graph", "quant"],
    "tune": ["sim", "io"],
    "formats": ["sim", "io"],
    "run": ["tune", "formats"],
}
WITHOUT_TORCH = {"core", "kernels"}
TORCH_FOLDERS = ("torch/", "ATen/", "c10/", "caffe2/")
DOORS = {"cli", "python", "bench", "examples", "tests"}
SUFFIXES = {".h", ".hpp", ".inl", ".cpp", ".cc"}

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')
CATCH = re.compile(r"\bcatch\s*\(")
BOUNDARY = "// boundary:"


def allowed(room: str) -> set[str]:
    """The room and everything under it."""
    rooms = {room}
    for below in BELOW[room]:
        rooms |= allowed(below)
    return rooms


def room_of(path: Path) -> str | None:
    """The layer of a file given by its path from the root: None for the umbrella header."""
    parts = path.parts
    if parts[0] == "adascale":
        return parts[1] if len(parts) > 2 else None
    return parts[0]


def include_fault(room: str | None, quote: str, included: str) -> str | None:
    """The rule that an #include in `room` breaks, or None."""
    if included.endswith((".cpp", ".cc")):
        return f'includes the source file "{included}"; include its header'
    if room in DOORS or room is None:
        return None
    if room in WITHOUT_TORCH and included.startswith(TORCH_FOLDERS):
        return f'{room}/ is free of torch, but includes "{included}"'
    if quote == "<" and not included.startswith("adascale/"):
        return None
    target = room_of(Path(included))
    if target in allowed(room) and included.startswith("adascale/"):
        return None
    may = ", ".join(sorted(allowed(room)))
    return f'{room}/ may include only "adascale/<folder>/..." of {may}, but includes "{included}"'


def catch_fault(room: str | None, line: str, before: str) -> str | None:
    """The fault of a catch that no `// boundary:` comment explains, there or one line above."""
    code = line.split("//")[0]
    if room in DOORS or not CATCH.search(code) or BOUNDARY in line or BOUNDARY in before:
        return None
    return f"catch belongs in cli/ and python/, or beside a `{BOUNDARY}` comment that says why"


def file_faults(root: Path, path: Path) -> Iterator[str]:
    """`file:line: rule` for each fault of one file."""
    relative = path.relative_to(root)
    room = room_of(relative)
    if relative.parts[0] == "adascale" and room is not None and room not in BELOW:
        yield f"{relative}:1: {room}/ is no layer; give it a row in tools/check_layers.py"
        return
    before = ""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        include = INCLUDE.match(line)
        faults = [
            include_fault(room, *include.groups()) if include else None,
            catch_fault(room, line, before),
        ]
        yield from (f"{relative}:{number}: {fault}" for fault in faults if fault)
        before = line


def faults_of(root: Path) -> list[str]:
    """All faults under the root, in file order."""
    files = source_files(root, ("adascale", *DOORS), SUFFIXES, "check_layers: no C++ file")
    return [fault for path in files for fault in file_faults(root, path)]


if __name__ == "__main__":
    show_faults(faults_of, "layers: every include points down")
