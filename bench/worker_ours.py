"""Times adascale on one workload."""

from __future__ import annotations

import argparse

import worker
from workloads import Batch, Workload

import adascale


def simulate(workload: Workload, args: argparse.Namespace) -> worker.Train:
    sim = adascale.QuantizationSimModel(
        workload.model,
        dummy_input=workload.batches[0],
        in_place=args.in_place,
        default_param_bw=args.bits,
        default_output_bw=32,
        group_size=args.group_size,
        symmetric=not args.asymmetric,
        layer_config={name: {"param_bw": 32} for name in workload.left_out},
    )

    def train(batches: list[Batch], iterations: int) -> worker.Trained:
        # Without iterations the clip search remains.
        recipe = args.recipe if iterations else "clip"
        budget = {} if recipe in ("clip", "rtn") else {"num_iterations": iterations}
        report = adascale.apply_adascale(
            sim,
            batches,
            recipe=recipe,
            precision=args.precision,
            lr_scale=args.lr_scale,
            progress=False,
            **budget,
        )
        layers = [layer for block in report.blocks for layer in block.layers]
        kept = sum(block.kept for block in report.blocks)
        if any(f"int{args.bits}" not in layer.grid for layer in layers):
            raise RuntimeError(f"expected {args.bits} bits everywhere, got { ({x.grid for x in layers}) }")
        return worker.Trained(sim.model, len(report.blocks), len(layers), args.bits, kept)

    return train


def main() -> None:
    parser = worker.arguments(__doc__)
    parser.set_defaults(attention="sdpa")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--lr-scale", type=float, default=1.0)
    parser.add_argument("--group-size", type=int, default=0)
    parser.add_argument("--asymmetric", action="store_true")
    worker.run(simulate, parser.parse_args(), ["torch", "adascale"])


if __name__ == "__main__":
    main()
