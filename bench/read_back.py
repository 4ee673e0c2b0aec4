"""What it costs to write files and to read them back, by format.

    python bench/read_back.py MODEL_FOLDER [FORMAT...]

W4 in groups of 64 by round-to-nearest; seconds of the passes over each format's tensors, one process.
"""

from __future__ import annotations

import argparse
import pydoc_data.topics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from types import TracebackType
from typing import Any

from adascale.progress import ProgressEvent
from machine import describe_commit, describe_machine

import adascale
from adascale import quantize as door

FORMATS = ["safetensors", "hf", "pt2", "compressed-tensors", "gptq", "gguf:Q4_1"]


class Stopwatch:
    """Takes the place of ``Progress``."""

    def __init__(self, _shown: bool) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._begun = 0.0
        made.append(self)

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, *fields: Any) -> None:
        event = ProgressEvent(*fields)
        now = time.monotonic()
        if event.step == 0:
            self._begun = now
        elif event.step == event.total:
            self.seconds[event.stage.rsplit(" ", 1)[0]] += now - self._begun


made: list[Stopwatch] = []


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("formats", nargs="*", default=FORMATS)
    args = parser.parse_args()
    sys.modules[door.__module__].Progress = Stopwatch  # type: ignore[attr-defined]
    topics = pydoc_data.topics.topics
    texts = [topics[key] for key in sorted(topics)]
    print(describe_machine(), describe_commit(Path(__file__).parent))
    print("| format | MB | writing, s | reading back, s |\n|---|---|---|---|")
    for name in args.formats:
        with tempfile.TemporaryDirectory() as folder:
            adascale.quantize(
                str(args.model), folder, texts, param_bw=4, group_size=64, seq_len=128, samples=2,
                recipe="rtn", formats=[name],
            )  # fmt: skip
            size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        seconds = made[-1].seconds
        print(
            f"| `{name}` | {size:.0f} | {seconds['writing']:.1f} | {seconds['reading back']:.1f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
