"""The command in processes that begin with torch, transformers and the package imported.

To start Python and import these takes seconds. A test that asks what the command does, and not how it starts,
has it forked from a server that imports them once.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

# What a command sets before torch is loaded (command_start.py).
SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    ["adascale.__main__", "transformers.models.llama.modeling_llama", "torch.export"]
)


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """As ``python -m adascale ARGUMENTS...`` in this process's folder and environment."""
    words = [str(word) for word in arguments]
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        environment = SETTINGS | os.environ
        process = _server.Process(target=_command, args=(words, os.getcwd(), environment, out, err))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():  # the server is started with it, by the first command
                patch.setenv(name, value)
            process.start()
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(words, process.exitcode, out.read_text(), err.read_text())


def _command(words: list[str], folder: str, environment: dict[str, str], out: Path, err: Path) -> None:
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    from adascale import __main__

    sys.argv = [__main__.__file__, *words]
    sys.exit(__main__.main())
