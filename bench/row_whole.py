"""Rows that quantize a whole language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from figures import Figure, Outcome, Scores, at_most, times_less
from turns import Settings, check_same_work, ours, theirs


@dataclass(frozen=True)
class Whole:
    """All of SmolLM2-135M: cost, memory and quality."""

    options: tuple[object, ...]
    perplexity: float
    cpu_s: float | None = None
    mib: float | None = None
    aimet: bool = False

    def __call__(self, settings: Settings) -> Outcome:
        workload = "smollm2-whole-4" if settings.quick else "smollm2-whole"
        args = [*self.options, "--scores", "--iterations", 8 if settings.quick else 64]
        measured = {"rtn": ours(settings, workload, *args, "--recipe", "rtn")}
        if self.aimet and not settings.skip_aimet:
            measured["aimet"] = theirs(settings, workload, *args)
        measured["ours"] = ours(settings, workload, *args, "--in-place")
        if "aimet" in measured:
            check_same_work(measured["ours"], measured["aimet"])
        runs = {name: worker["runs"][0] for name, worker in measured.items()}
        scores = [
            Scores(name, runs[key]["scores"])
            for name, key in (("RTN", "rtn"), ("AIMET", "aimet"), ("ours", "ours"))
            if key in runs
        ]
        fp = runs["ours"]["fp_scores"]
        return Outcome(self._figures(runs), [Scores("FP32", fp), *scores], measured)

    def _figures(self, runs: dict[str, Any]) -> list[Figure]:
        def figure(work: str, unit: str, key: str, bound: float | None) -> Figure:
            baseline = runs.get("aimet", {}).get(key)
            target = None if bound is None else at_most(bound)
            return times_less(work, unit, "AIMET", baseline, runs["ours"][key], target)

        def perplexity(name: str) -> float:
            return runs[name]["scores"]["perplexity"]

        quality = Figure(
            "perplexity, 8 rows",
            "",
            perplexity("ours"),
            "AIMET" if "aimet" in runs else "RTN",
            perplexity("aimet" if "aimet" in runs else "rtn"),
            target=at_most(self.perplexity),
        )
        return [
            figure("30 layers, 64 iterations", "CPU s", "cpu_s", self.cpu_s),
            figure("peak above the model, ours folded in place", "MiB", "peak_above_mib", self.mib),
            quality,
        ]
