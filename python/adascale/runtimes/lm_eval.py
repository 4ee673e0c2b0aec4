"""Scores of model folders on the tasks of the lm-eval package, for ``adascale evaluate --lm-eval``."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._C import option
from ..errors import Error, first_line
from ..packages import how_to_install, missing
from ..transformers_output import quiet_transformers

_METRIC = re.compile(r"(?P<metric>.+),(?P<filter>[^,]+)")


@dataclass(frozen=True)
class Score:
    """C++'s ``run/task_runner.h``."""

    task: str
    metric: str
    model: float
    quantized: float
    standard_error: float | None


class LmEval:
    """Runs both folders as lm-eval's ``hf`` models."""

    packages = ("lm-eval", "transformers")

    def check(self, model: str, folder: str, tasks: list[str]) -> None:
        """Before work begins: all objections in one error."""
        lacks = missing(self.packages)
        if lacks:
            raise Error(f"{option('lm_eval')}: needs the package {', '.join(lacks)}; {how_to_install(lacks)}")
        objections = [
            f"{path}: holds no config.json; {option('lm_eval')} scores transformers folders; "
            f"quantize one with {option('formats', 'hf')}"
            for path in (model, folder)
            if not Path(path, "config.json").is_file()
        ]
        for task in tasks:
            objections += _objections_to(task)
        if objections:
            raise Error("; ".join(objections))

    def run(self, model: str, folder: str, tasks: list[str], device: str) -> list[Score]:
        """The same tasks, samples and seeds for both."""
        quantized = _results_of(folder, tasks, device)  # the one that may lack a package comes first
        fp = _results_of(model, tasks, device)
        if not fp or fp.keys() != quantized.keys():
            lacking = ", ".join(f"{task} {metric}" for task, metric in sorted(fp.keys() ^ quantized.keys()))
            raise Error(
                f"{option('lm_eval')}: the two folders have not the same scores: {lacking or 'none at all'}"
            )
        return [
            Score(task, metric, value, *quantized[task, metric]) for (task, metric), (value, _) in fp.items()
        ]


def _objections_to(task: str) -> list[str]:
    where = f"{option('lm_eval')}: {task}"
    if _is_file(task):
        if not Path(task).is_file():
            return [f"{where}: there is no such file"]
        return [] if _name_in(task) else [f"{where}: names no task; expected a line 'task: NAME'"]
    manager = _manager([task])
    if task in manager.all_tasks:
        return []
    near = difflib.get_close_matches(task, manager.all_tasks, 1)
    meant = f", did you mean {near[0]}?" if near else ""
    return [f"{where}: is no task of lm-eval{meant}; lm-eval ls tasks lists them"]


def _is_file(task: str) -> bool:
    """By its ending: a file called as a task is that task."""
    return task.endswith((".yaml", ".yml"))


def _name_in(file: str) -> str:
    found = re.search(
        r"^task:[ \t]*[\"']?([\w.-]*\w)[\"']?[ \t]*(?:#.*)?$",
        Path(file).read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return found[1] if found else ""


def _manager(tasks: list[str]) -> Any:
    """Knows the tasks of the package and those in the folders of files."""
    from lm_eval.tasks import TaskManager

    folders = {str(Path(task).absolute().parent) for task in tasks if _is_file(task)}
    return TaskManager(include_path=sorted(folders) or None)


def _results_of(
    path: str, tasks: list[str], device: str
) -> dict[tuple[str, str], tuple[float, float | None]]:
    from lm_eval import simple_evaluate

    names = [_name_in(task) if _is_file(task) else task for task in tasks]
    try:
        with quiet_transformers():
            done = simple_evaluate(
                model="hf",
                model_args={"pretrained": path},
                tasks=names,
                task_manager=_manager(tasks),
                device=_device(device),
                log_samples=False,
            )
    except Exception as error:  # boundary: lm-eval's own errors, one line
        raise Error(f"{option('lm_eval')}: {path}: {first_line(error)}") from error
    return dict(_scores(done["results"] if done else {}))


def _device(asked: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked


def _scores(
    results: dict[str, dict[str, Any]],
) -> Iterator[tuple[tuple[str, str], tuple[float, float | None]]]:
    """lm-eval keys a number as ``acc,none`` and its error as ``acc_stderr,none``."""
    for task, numbers in results.items():
        for key, value in numbers.items():
            found = _METRIC.fullmatch(key)
            if not found or found["metric"].endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            error = numbers.get(f"{found['metric']}_stderr,{found['filter']}")
            name = found["metric"] if found["filter"] == "none" else f"{found['metric']} ({found['filter']})"
            yield (task, name), (float(value), float(error) if isinstance(error, (int, float)) else None)
