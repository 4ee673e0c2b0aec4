"""Seconds that importing adascale or AIMET takes beyond torch; prints one line of JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from importlib.metadata import version

import torch  # noqa: F401  its own import is not counted

PACKAGES = {"adascale": "adascale", "aimet": "aimet-torch"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", choices=PACKAGES)
    args = parser.parse_args()
    start = time.perf_counter()
    importlib.import_module(args.module)
    seconds = time.perf_counter() - start
    package = PACKAGES[args.module]
    print(json.dumps({"versions": {package: version(package)}, "seconds": seconds}))


if __name__ == "__main__":
    main()
