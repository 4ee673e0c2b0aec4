"""The command in processes that begin with torch, transformers and the package imported.

To start Python and import these takes seconds. A test that asks what the command does, and neither how it
starts nor how it leaves the process, has it forked from a server that imports them once.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from adascale.command_start import SETTINGS

PROJECT = str(Path(__file__).parents[2])
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    ["adascale.__main__", "transformers.models.llama.modeling_llama", "torch.export"]
)


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """What ``python -m adascale ARGUMENTS...`` says and leaves, in this process's folder and environment.

    What packages read while they are imported is the environment of the first call.
    """
    words = [str(word) for word in arguments]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if not SETTINGS.keys() & os.environ.keys():  # as the command's start has it
            for name, value in SETTINGS.items():
                patch.setenv(name, value)
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _server.Process(target=_command, args=(words, os.getcwd(), dict(os.environ), out, err))
        process.start()
        try:
            process.join()
        except BaseException:
            process.kill()
            process.join()
            raise
        assert process.exitcode is not None
        return subprocess.CompletedProcess(words, process.exitcode, out.read_text(), err.read_text())


def _command(words: list[str], folder: str, environment: dict[str, str], out: Path, err: Path) -> None:
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    sys.stdout = open(1, "w")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    given = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [folder, *given, *filter(_is_installed, sys.path)]
    from adascale import __main__

    sys.argv = [__main__.__file__, *words]
    sys.exit(__main__.main())


def _is_installed(path: str) -> bool:
    """No folder of the project, which pytest adds."""
    return path != "" and (not path.startswith(PROJECT) or "site-packages" in path)
