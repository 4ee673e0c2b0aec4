"""The kernels that the GPU's compiler makes, against the CPU's, and where tensor operators remain."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from both_sides import to
from sides import CHAINS, LONG, SHORT_DTYPES, Spread, assert_near, simulate, train
from small_models import ConsecutiveBlocks, seed_loader
from torch import nn

import adascale

GRIDS: dict[str, dict[str, Any]] = {
    "per channel": {},
    "asymmetric": {"symmetric": False},
    "groups of 8": {"group_size": 8},
    "asymmetric groups of 32": {"group_size": 32, "symmetric": False},
    "2 bits": {"default_param_bw": 2, "group_size": 16, "symmetric": False},
}
# Row lengths by how threads share them: lanes of a warp or a block, eight elements at a time or one.
COLUMNS = [2, 8, 33, 96, 130, 1000, 1024, 2000, 4096, 5001, 14336, 16392]
KERNELS = {"quantize_groups", "step_groups"}


def kernels_in(work: Any, *args: Any, **options: Any) -> Counter[str]:
    """Launches by kernel."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        work(*args, **options)
        torch.cuda.synchronize()
    return Counter({event.key: event.count for event in profile.key_averages() if event.key in KERNELS})


def check(model: nn.Module, data: list[Any], device: torch.device, spread: Spread, **options: Any) -> None:
    assert_near(
        train(model, data, device, kernels=True, **options),
        train(model, data, torch.device("cpu"), kernels=True, **options),
        spread,
    )


@pytest.mark.parametrize("recipe", ["fast", "aimet"])
@pytest.mark.parametrize("grid", GRIDS)
def test_grids(device: torch.device, grid: str, recipe: str) -> None:
    model = ConsecutiveBlocks(depth=2).eval()
    check(model, seed_loader(), device, CHAINS, recipe=recipe, sim_options=GRIDS[grid])


@pytest.mark.parametrize("recipe", ["fast", "aimet"])
@pytest.mark.parametrize("columns", COLUMNS)
def test_rows_of_any_length(device: torch.device, columns: int, recipe: str) -> None:
    model = nn.Sequential(nn.Linear(columns, 24), nn.Linear(24, 8)).eval()
    data = [torch.randn(8, columns) for _ in range(3)]
    check(model, data, device, CHAINS, recipe=recipe, blocks=["0", "1"])


def test_long_training(device: torch.device) -> None:
    check(ConsecutiveBlocks(depth=1).eval(), seed_loader(), device, LONG, num_iterations=40)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_models_in_short_dtypes(device: torch.device, dtype: torch.dtype) -> None:
    data = [x.to(dtype) for x in seed_loader()]
    check(ConsecutiveBlocks(depth=2).to(dtype).eval(), data, device, SHORT_DTYPES)


@pytest.mark.cuda_alone("the fake device compiles nothing")
def test_a_weight_takes_one_launch_an_iteration(
    device: torch.device, capfd: pytest.CaptureFixture[str]
) -> None:
    model, data = ConsecutiveBlocks(depth=2).eval().to(device), to(seed_loader(), device)

    def run() -> None:
        adascale.apply_adascale(simulate(model, data[0]), data, num_iterations=7, progress=False)

    launches = kernels_in(run)
    weights = sum(isinstance(module, nn.Linear) for module in model.modules())
    attempts = launches["quantize_groups"] // weights
    assert launches == {"quantize_groups": attempts * weights, "step_groups": 7 * attempts * weights}
    assert "tensor operators" not in capfd.readouterr().err


@pytest.mark.cuda_alone("the fake device compiles nothing")
@pytest.mark.parametrize(
    "options",
    [{"group_size": 4, "decompressed_bw": 8}, {"layer_config": {"*": {"per_channel": False}}}],
    ids=["LPBQ", "per tensor"],
)
def test_other_grids_train_by_tensor_operators(device: torch.device, options: dict[str, Any]) -> None:
    model, data = ConsecutiveBlocks(depth=1).eval(), seed_loader()
    assert not kernels_in(train, model, data, device, kernels=True, sim_options=options)


@pytest.mark.cuda_alone("the fake device compiles nothing")
def test_the_same_bytes_again(device: torch.device) -> None:
    """Sums are added in one order."""
    model = nn.Sequential(nn.Linear(4096, 64), nn.Linear(64, 64)).eval()
    data = [torch.randn(16, 4096) for _ in range(3)]
    first, second = (
        train(model, data, device, kernels=True, num_iterations=20, deterministic=True, blocks=["0"])
        for _ in range(2)
    )
    assert first.after == second.after
    assert all(torch.equal(codes, second.codes[name]) for name, codes in first.codes.items())
