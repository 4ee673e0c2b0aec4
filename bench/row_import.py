"""The row of the imports."""

from __future__ import annotations

from statistics import median

from figures import Outcome, at_most, times_less
from turns import AIMETS, OURS, Settings, median_of, run_worker


def run_import(settings: Settings) -> Outcome:
    """Imports in fresh processes; the first of each only warms the file cache."""
    seconds: dict[str, list[float]] = {"aimet": [], "ours": []}
    for turn in range(1 + settings.rounds()):
        mine = run_worker(OURS, "import_time.py", "adascale")["seconds"]
        other = None if settings.skip_aimet else run_worker(AIMETS, "import_time.py", "aimet")["seconds"]
        if turn > 0:
            seconds["ours"].append(mine)
            seconds["aimet"] += [] if other is None else [other]
    figure = times_less(
        "import, beyond torch's",
        "s",
        "AIMET",
        median_of(seconds["aimet"]),
        median(seconds["ours"]),
        at_most(0.5),
    )
    return Outcome([figure], measured=seconds)
