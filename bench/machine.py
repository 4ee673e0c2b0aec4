"""The conditions of a figure beside the code."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

TOLD = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe_machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    return {
        "cpu": fields.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0)),
        "features": [flag for flag in TOLD if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
    }


def describe_commit(folder: Path, *paths: str) -> str:
    """The commit's short name, with a + when the tree has changes, in these paths if any are given.

    Where a copy of the tree has no .git, ADASCALE_COMMIT says it.
    """
    if not (Path(folder) / ".git").exists():
        return os.environ.get("ADASCALE_COMMIT", "")

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", folder, *args], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", *paths) else "")
