#!/usr/bin/env python3
"""clang-tidy over every source of the library, the command and the extension, one per core at a time.

    tools/run_tidy.py [BUILD_DIR]      default build/release, for its compile_commands.json

A file found clean is not looked at again until it, a header of the tree or .clang-tidy changes.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("adascale", "cli", "python")
PRECOMPILED = re.compile(r"-Winvalid-pch -include \S+|-fpch-preprocess")


def compile_commands(build: Path) -> list[dict[str, str]]:
    """Without the precompiled header: clang cannot read it, and a file that needs it lacks an include."""
    database = build / "compile_commands.json"
    if not database.exists():
        sys.exit(f"run_tidy: no {database}; configure first (scripts/build)")
    entries = json.loads(database.read_text())
    for entry in entries:
        entry["command"] = PRECOMPILED.sub("", entry["command"])
    return entries


def sources(entries: list[dict[str, str]]) -> list[Path]:
    """The files that are compiled, of our own folders, without repetition."""
    files = {Path(entry["file"]) for entry in entries}
    return sorted(f for f in files if f.is_relative_to(ROOT) and f.relative_to(ROOT).parts[0] in FOLDERS)


def digest_of_shared() -> bytes:
    """A digest of all inputs that every file's result may depend on beside the file."""
    digest = hashlib.sha256(subprocess.check_output(["clang-tidy", "--version"]))
    headers = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.h"))]
    for path in [ROOT / ".clang-tidy", *headers]:
        digest.update(path.read_bytes())
    return digest.digest()


def tidy(source: Path, work: Path, shared: bytes) -> bool:
    """Whether the file is clean; prints the faults. `work` keeps the compile commands and the stamps."""
    stamp = work / hashlib.sha256(shared + source.read_bytes()).hexdigest()
    if stamp.exists():
        return True
    command = ["clang-tidy", "-p", str(work), "--quiet", str(source)]
    result = subprocess.run(command, capture_output=True, text=True)
    name = source.relative_to(ROOT)
    if result.returncode:
        print(f"{name}\n{result.stdout}{result.stderr}", flush=True)
        return False
    print(f"clean {name}", flush=True)
    stamp.touch()
    return True


def main() -> None:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "release").resolve()
    entries = compile_commands(build)
    files = sources(entries)
    work = build / "tidy"
    work.mkdir(exist_ok=True)
    (work / "compile_commands.json").write_text(json.dumps(entries))
    shared = digest_of_shared()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        clean = list(pool.map(lambda source: tidy(source, work, shared), files))
    print(f"clang-tidy: {sum(clean)} of {len(files)} files clean")
    sys.exit(not all(clean))


if __name__ == "__main__":
    main()
