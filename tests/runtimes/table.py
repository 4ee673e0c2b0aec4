"""A row of the table that ends a run of tests/runtimes."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A runtime's results with a file; texts as in the table, "-" where there is nothing to say."""

    format: str
    runtime: str  # the package's name on PyPI; its version is looked up
    model: str
    agreement: str  # "max abs diff 2e-6", "perplexity 13.9 / 13.9" (ours / theirs)
    size: str = "-"  # of the file
    speed: str = "-"  # "FP 31, quantized 52 tokens/s"


AddRow = Callable[[Row], None]
