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

from adascale.progress import ProgressEvent
from listen import listen
from machine import describe_commit, describe_machine

import adascale

FORMATS = ["safetensors", "hf", "pt2", "compressed-tensors", "gptq", "gguf:Q4_1"]


class Stopwatch:
    """Seconds in passes, by their name without the file's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._begun = 0.0

    def hear(self, event: ProgressEvent | None) -> None:
        now = time.monotonic()
        if event is None or event.step == 0:
            self._begun = now
        elif event.step == event.total:
            self.seconds[event.stage.rsplit(" ", 1)[0]] += now - self._begun


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("formats", nargs="*", default=FORMATS)
    args = parser.parse_args()
    topics = pydoc_data.topics.topics
    texts = [topics[key] for key in sorted(topics)]
    print(describe_machine(), describe_commit(Path(__file__).parent))
    print("| format | MB | writing, s | reading back, s |\n|---|---|---|---|")
    for name in args.formats:
        watch = Stopwatch()
        listen(watch.hear)
        with tempfile.TemporaryDirectory() as folder:
            adascale.quantize(
                str(args.model), folder, texts, param_bw=4, group_size=64, seq_len=128, samples=2,
                recipe="rtn", formats=[name],
            )  # fmt: skip
            size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        writing, reading = watch.seconds["writing"], watch.seconds["reading back"]
        print(f"| `{name}` | {size:.0f} | {writing:.1f} | {reading:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
