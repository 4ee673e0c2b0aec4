"""Code shared by the workers. Each measures one program on one workload, alone on its cores, and prints
one line
of JSON: {"versions": {}, "runs": [{...} for each count of iterations]}."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import torch
import workloads
from measure import Cost, cost, release_freed_memory, resident_mib
from scores import Model, error_of, language_scores
from workloads import Batch, Workload


@dataclass
class Trained:
    """A quantized model, and the amount of training: both programs must have done the same."""

    model: Model
    blocks: int
    layers: int
    bits: int
    kept: int  # blocks that training improved


# Prepares a program for a workload, outside the compared time; then calls to train it.
Train = Callable[[list[Batch], int], Trained]
Simulate = Callable[[Workload, argparse.Namespace], Train]


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workload", choices=workloads.WORKLOADS, required=True)
    parser.add_argument("--iterations", type=int, nargs="+", required=True, help="a run for each count")
    parser.add_argument("--warm-up", action="store_true", help="a first run of one iteration, not reported")
    parser.add_argument("--distinct", action="store_true", help="no more batches than iterations, at least 4")
    parser.add_argument("--until-error", type=float, help="no further run once one's error is no larger")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--in-place", action="store_true", help="weights are folded into the model's own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scores", action="store_true", help="perplexity and what goes with it")
    parser.add_argument("--attention", help="transformers' attn_implementation")
    return parser


def run(simulate: Simulate, args: argparse.Namespace, packages: list[str]) -> None:
    torch.set_num_threads(args.threads)
    workload = workloads.make(args.workload, args.attention)
    if args.warm_up:
        _run_once(simulate, workload, 1, args)
    runs: list[dict[str, Any]] = []
    for iterations in args.iterations:
        runs.append(_run_once(simulate, workload, iterations, args))
        if args.until_error is not None and runs[-1]["error"] <= args.until_error:
            break
    print(json.dumps({"versions": {name: version(name) for name in packages}, "runs": runs}))


def _run_once(
    simulate: Simulate, workload: Workload, iterations: int, args: argparse.Namespace
) -> dict[str, Any]:
    batches = workload.batches[: max(4, iterations)] if args.distinct else workload.batches
    # If the model itself is quantized, the copy for comparison is made beforehand, outside its costs.
    given = replace(workload, model=copy.deepcopy(workload.model)) if args.in_place else workload
    release_freed_memory()
    before = resident_mib()
    with cost() as preparing:
        train = simulate(given, args)
    with cost() as training:
        trained = train(batches, iterations)
    run = {
        "iterations": iterations,
        "batches": len(batches),
        **_costs(before, preparing, training),
        "blocks": trained.blocks,
        "layers": trained.layers,
        "bits": trained.bits,
        "kept": trained.kept,
        "error": error_of(trained.model, workload),
    }
    if args.scores:
        run["fp_scores"] = language_scores(workload.model, workload)
        run["scores"] = language_scores(trained.model, workload)
    return run


def _costs(before: float, preparing: Cost, training: Cost) -> dict[str, Any]:
    """Memory counts from before the simulation was made: its copies of weights are part of the cost."""
    return {
        **asdict(training),
        "prepare_cpu_s": preparing.cpu_s,
        "before_mib": before,
        "peak_above_mib": max(preparing.peak_mib, training.peak_mib) - before,
        "training_mib": training.peak_mib - training.after_mib,
    }
