"""The files that a check of the tree reads, and the command that shows its faults."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path


def source_files(root: Path, folders: Iterable[str], suffixes: Iterable[str], missing: str) -> list[Path]:
    """The files of these folders of `root` that have one of the suffixes, in order.

    missing: begins the message with which it exits where there is none: an empty tree is not a clean one.
    """
    files = sorted(p for folder in folders for p in (root / folder).rglob("*") if p.suffix in suffixes)
    if not files:
        sys.exit(f"{missing} under {root}; give the root of the tree")
    return files


def show_faults(faults_of: Callable[[Path], list[str]], clean: str) -> None:
    """Prints the faults of the tree that the command names, of this one by default; exits 1 if there are any.

    clean: printed where there is none.
    """
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    faults = faults_of(root)
    print("\n".join(faults) if faults else clean)
    sys.exit(1 if faults else 0)
