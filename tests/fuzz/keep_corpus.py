"""Takes over what scripts/fuzz found: keep_corpus.py TARGET... fills corpus/TARGET from build/fuzz/.

libFuzzer's merge says which features of the code each input reaches. Kept are those with most new features a
byte, at most 100 files and 200 KB; inputs that once broke a reader (`fault-*`) stay.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "fuzz"
MOST_FILES, MOST_BYTES = 90, 180_000  # leaves room for inputs that are kept anyway


def program(target: str) -> str:
    own = "fuzz_jsonl.py" if target == "jsonl" else f"../../build/asan/tests/fuzz/fuzz_{target}"
    return str(HERE / own)


def features_of(target: str) -> dict[Path, set[str]]:
    """Each input with what only it or a few others reach."""
    folders = [str(BUILD / kind / target) for kind in ("corpus", "seeds")]
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder, "control")
        options = ["-merge=1", f"-merge_control_file={control}", "-max_len=65536", "-rss_limit_mb=4096"]
        subprocess.run(
            [program(target), *options, folder, *folders, str(HERE / "corpus" / target)], check=True
        )
        lines = control.read_text().splitlines()
    files = lines[2 : 2 + int(lines[0])]
    rows = [line.split() for line in lines[2 + len(files) :] if line.startswith("FT ")]
    return {Path(files[int(number)]): set(features) for _, number, *features in rows}


def choose(found: dict[Path, set[str]]) -> list[Path]:
    chosen: list[Path] = []
    seen: set[str] = set()
    room = MOST_BYTES
    while len(chosen) < MOST_FILES:
        fits = {path: len(new - seen) for path, new in found.items() if path.stat().st_size <= room}
        best = max(fits, key=lambda path: fits[path] / (path.stat().st_size + 100), default=None)
        if best is None or fits[best] == 0:
            break
        chosen.append(best)
        seen |= found[best]
        room -= best.stat().st_size
    return chosen


def main(targets: list[str]) -> None:
    for target in targets:
        corpus = HERE / "corpus" / target
        contents = {path.name: path.read_bytes() for path in choose(features_of(target))}
        faults = {path.name: path.read_bytes() for path in corpus.glob("fault-*")}
        shutil.rmtree(corpus)
        corpus.mkdir()
        for name, content in (contents | faults).items():
            (corpus / name).write_bytes(content)


main(sys.argv[1:])
