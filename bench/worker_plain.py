"""Times AIMET's recipe in plain PyTorch on one workload."""

from __future__ import annotations

import argparse
import copy

import plain_aimet
import worker
from workloads import Batch, Workload


def simulate(workload: Workload, args: argparse.Namespace) -> worker.Train:
    model = copy.deepcopy(workload.model)
    blocks = [module for module in model.modules() if isinstance(module, workload.block)]

    def train(batches: list[Batch], iterations: int) -> worker.Trained:
        layers = plain_aimet.apply(model, blocks, batches, iterations, args.bits)
        return worker.Trained(model, len(blocks), layers, args.bits, len(blocks))

    return train


def main() -> None:
    parser = worker.arguments(__doc__)
    parser.set_defaults(attention="sdpa")
    worker.run(simulate, parser.parse_args(), ["torch"])


if __name__ == "__main__":
    main()
