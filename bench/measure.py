"""The cost of a piece of work in this process."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cost:
    """Seconds (CPU: user and system, all threads), and MiB resident at the end and at most."""

    cpu_s: float = 0
    wall_s: float = 0
    after_mib: float = 0
    peak_mib: float = 0


@contextmanager
def cost() -> Iterator[Cost]:
    """Fills in the cost of the body. The kernel's mark of peak memory is reset first, or it would show
    earlier peaks."""
    measured = Cost()
    Path("/proc/self/clear_refs").write_text("5")
    cpu, wall = time.process_time(), time.perf_counter()
    yield measured
    measured.cpu_s = time.process_time() - cpu
    measured.wall_s = time.perf_counter() - wall
    measured.peak_mib = _status_mib("VmHWM")
    release_freed_memory()
    measured.after_mib = resident_mib()


def resident_mib() -> float:
    return _status_mib("VmRSS")


def release_freed_memory() -> None:
    """Gives the allocator's free pages back, so that earlier work does not hide what later work needs."""
    ctypes.CDLL(None).malloc_trim(0)


def _status_mib(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")
