"""Of the interpreter that runs this, what scripts/setup asks.

torch_here.py             `/usr/lib/python3/dist-packages 2.13.0`, without importing it; else nothing
torch_here.py objection   why that torch cannot be built against; nothing where it can
torch_here.py folders     every folder where it finds packages, a line each: what a .pth file holds
"""

import os
import re
import sys


def found():
    from importlib import metadata, util

    spec = util.find_spec("torch")
    return (os.path.dirname(os.path.dirname(spec.origin)), metadata.version("torch")) if spec else None


def objection():
    folder, version = found()
    pyproject = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pyproject.toml")
    with open(pyproject) as file:
        low, high = re.search(r"torch>=([\d.]+),<([\d.]+)", file.read()).groups()
    if sys.version_info < (3, 11):  # noqa: UP036  any interpreter may run this
        return "its Python is older than 3.11"
    if not minor(low) <= minor(version) < minor(high):
        return f"it is not >={low},<{high}"
    for part in ("include/ATen", "lib/libtorch_cpu.so", "lib/libtorch_python.so"):
        if not os.path.exists(f"{folder}/torch/{part}"):
            return f"{folder}/torch has no {part}"
    try:
        import torch  # noqa: F401
    except Exception as error:  # boundary: whatever keeps it from loading
        return "it cannot be imported: " + str(error).splitlines()[0]
    return ""


def minor(version):
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def folders():
    packages = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    return "\n".join(dict.fromkeys([found()[0], *packages]))


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked == "objection":
        print(objection())
    elif asked == "folders":
        print(folders())
    else:
        print(*(found() or ()))
