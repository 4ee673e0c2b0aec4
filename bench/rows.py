"""The rows of the benchmark: their comparisons and targets. One entry per row in ROWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from figures import Outcome, at_least, ratio_at_most
from row_growth import run_growth
from row_import import run_import
from row_pass import run_pass
from row_reach import Reach
from row_step import Floor, Step
from row_whole import Whole
from turns import Settings


@dataclass(frozen=True)
class Row:
    name: str
    help: str
    run: Callable[[Settings], Outcome]


BITS_3, BITS_2 = ("--bits", 3), ("--bits", 2)
GROUPS = ("--group-size", 64, "--asymmetric")

ROWS = [
    Row(
        "block-fp32",
        "SmolLM2 block, 1x512 tokens, fp32",
        Step("smollm2-block", (24, 72), at_least(1.4), "float32"),
    ),
    Row("block-best", "the same, our best precision", Step("smollm2-block", (24, 72), at_least(3.5))),
    Row("linear4096", "Linear 4096x4096 block, 1x128 tokens", Step("linear4096", (2, 8), at_least(8))),
    Row(
        "seed",
        "the toy model of AIMET's page, 5 blocks",
        Step("seed", (320, 960), None, bare=ratio_at_most(2)),
    ),
    Row(
        "conv",
        "a MobileNet-like block, 8x32x28x28",
        Step("conv", (16, 80), None, bare=ratio_at_most(0.6)),
    ),
    Row("reach-smollm2-0", "AIMET's error, first block", Reach("smollm2-reach-0", at_least(8))),
    Row("reach-smollm2-1", "AIMET's error, two blocks", Reach("smollm2-reach-1", at_least(8))),
    Row("reach-minilm", "its recipe's error, MiniLM's six layers", Reach("minilm", at_least(8), plain=True)),
    Row("whole-w4", "SmolLM2-135M, W4 per channel", Whole((), 13.7, 95, 0.8e9 / 2**20, True)),
    Row("whole-w3", "W3 per channel", Whole(BITS_3, 16.5)),
    Row("whole-w3g64a", "W3, groups of 64, asymmetric", Whole((*BITS_3, *GROUPS), 14.8)),
    Row("whole-w2g64a", "W2, groups of 64, asymmetric", Whole((*BITS_2, *GROUPS), 24)),
    Row(
        "floor-fp32",
        "our step against bare matmuls, fp32",
        Floor("float32", "float32", ratio_at_most(1.3)),
    ),
    Row(
        "floor-best",
        "our step against bare matmuls, bf16",
        Floor("auto", "bfloat16", ratio_at_most(1.35)),
    ),
    Row("pass", "the weight pass, 4096x4096, against a copy", run_pass),
    Row("import", "import, beyond torch's", run_import),
    Row("growth", "2, 4, 8, 16 equal blocks", run_growth),
]
