"""The longest time between two moments at which a run can be interrupted, by stage.

SmolLM2's first 8 blocks, W3 in groups of 64.

    python bench/gaps.py MODEL_FOLDER

Ctrl-C and a caller's exception end `quantize()` and `apply_adascale` at the begin and after each step of a
pass. Also prints the longest stretch outside all passes: opening, capture, writing.
"""

from __future__ import annotations

import argparse
import pydoc_data.topics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from adascale.progress import ProgressEvent
from listen import listen

import adascale


class Watch:
    """The longest time from one event to the next, by where it was."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = defaultdict(float)
        self._last = time.monotonic()

    def hear(self, event: ProgressEvent | None) -> None:
        if event is None:
            self._close("after the last pass")
            return
        what = event.name or event.stage
        if event.ends_stage and not event.name:
            self._close("after a block")
        else:
            self._close(f"before {what}" if event.step == 0 else what)

    def _close(self, where: str) -> None:
        now = time.monotonic()
        self.longest[where] = max(self.longest[where], now - self._last)
        self._last = now


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--iterations", type=int, default=16)
    args = parser.parse_args()
    topics = pydoc_data.topics.topics
    texts = [topics[key] for key in sorted(topics)]
    watch = Watch()
    listen(watch.hear)
    with tempfile.TemporaryDirectory() as folder:
        adascale.quantize(
            str(args.model), folder, texts, param_bw=3, group_size=64, seq_len=128, samples=32,
            iterations=args.iterations, blocks=[f"model.layers.{i}" for i in range(8)],
        )  # fmt: skip
    print("| stage | longest gap, s |\n|---|---|")
    for where, seconds in sorted(watch.longest.items(), key=lambda item: -item[1]):
        print(f"| {where} | {seconds:.2f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
