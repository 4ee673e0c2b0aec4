"""How a GPU computes: bf16, fused attention, TF32, recurrent layers, no waits; and torch's switches after."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from both_sides import operators_of_torch, to
from layer_kinds import ROWS, batches
from sides import Run, simulate, train
from small_models import ConsecutiveBlocks, seed_loader
from torch import nn

import adascale
from adascale import _C

ITERATIONS = 20
PROFILED = 4  # the profiler's tables grow
FUSED = re.compile(r"^aten::_scaled_dot_product_(flash|efficient|cudnn)_attention$")


def llama(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, list[dict[str, torch.Tensor]]]:
    """Large enough for every fused kernel: heads of 64."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=320, hidden_size=256, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.1,
    )  # fmt: skip
    data = [{"input_ids": torch.randint(0, 320, (1, 64))} for _ in range(4)]
    return transformers.LlamaForCausalLM(config).to(dtype).eval(), data


def switches() -> dict[str, Any]:
    """The switches as users read them, the older names included."""
    return {
        "cuDNN": torch.backends.cudnn.enabled,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warns only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "TF32 products": torch.backends.cuda.matmul.allow_tf32,
        "TF32 convolutions": torch.backends.cudnn.allow_tf32,
        "precision": torch.get_float32_matmul_precision(),
    }


@pytest.fixture(autouse=True)
def switches_stay() -> Iterator[None]:
    before = switches()
    yield
    assert switches() == before


def test_bf16_trains_as_well_as_float32(device: torch.device) -> None:
    model, data = llama()
    short, wide = (
        train(model, data, device, precision=precision, num_iterations=40)
        for precision in ("auto", "float32")
    )
    assert short.report.precision == "bfloat16 up to 4 bits, the rest TF32"
    assert wide.report.precision == "float32"
    assert_as_good(short, wide)


def assert_as_good(short: Run, wide: Run) -> None:
    for before, got, expected in zip(wide.before, short.after, wide.after, strict=True):
        assert got < before
        # Relative to the gain of training. The later block reads another earlier one.
        assert got - expected <= 0.1 * (before - expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_fused(device: torch.device, dtype: torch.dtype) -> None:
    """In training; the float model's attention has its own dtype, with whatever kernel that gets."""
    model, data = llama(dtype)
    calls = of_more_iterations(lambda n: operators_in(train_once, model, data, device, n), PROFILED)
    assert calls["aten::scaled_dot_product_attention"] == 2 * PROFILED, "one a block and iteration"
    if device.type == "cuda":
        assert sum(count for name, count in calls.items() if FUSED.match(name)) == 2 * PROFILED
        assert calls["aten::_scaled_dot_product_attention_math"] == 0


def train_once(
    model: nn.Module, data: list[Any], device: torch.device, iterations: int, **options: Any
) -> None:
    moved, batches = model.to(device), to(data, device)
    sim = simulate(moved, batches[0])
    adascale.apply_adascale(sim, batches, num_iterations=iterations, progress=False, **options)


def operators_in(work: Callable[..., None], *args: Any) -> Counter[str]:
    """Calls of operators by name."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profile:
        work(*args)
    return Counter({event.key: event.count for event in profile.key_averages()})


def of_more_iterations(count: Callable[[int], Counter[str]], iterations: int = ITERATIONS) -> Counter[str]:
    """The cost of that many more iterations; measuring is the same in both runs."""
    fewer, more = count(iterations), count(2 * iterations)
    more.subtract(fewer)
    return more


@pytest.mark.parametrize("op", ["aten::lstm", "aten::gru", "aten::rnn_tanh"])
def test_recurrent_layers_train_without_cudnn(device: torch.device, op: str) -> None:
    row = next(row for row in ROWS if row.op == op)
    before = torch.backends.cudnn.enabled
    run = train(row.make().eval(), batches(row, 4), device, precision="auto", num_iterations=20)
    assert torch.backends.cudnn.enabled == before
    assert run.after[0] < run.before[0]


@contextlib.contextmanager
def counting_waits(device: torch.device, capfd: pytest.CaptureFixture[str]) -> Iterator[Counter[str]]:
    """Counts the host's waits for the device. CUDA warns of each, in Python or from C++ to stderr."""
    counted: Counter[str] = Counter()
    if device.type == "fake":
        import fake_device

        with fake_device.counting() as counts:
            yield counted
        counted["waits"] = counts.syncs
        return
    said = "called a synchronizing CUDA operation"
    capfd.readouterr()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield counted
    finally:
        torch.cuda.set_sync_debug_mode("default")
    counted["waits"] = sum(said in str(warning.message) for warning in caught)
    counted["waits"] += capfd.readouterr().err.count(said)


def test_waits_are_counted(device: torch.device, capfd: pytest.CaptureFixture[str]) -> None:
    x = torch.ones(2, device=device)
    with counting_waits(device, capfd) as counted:
        x.sum().item()
    assert counted["waits"] == 1


@pytest.mark.parametrize("kind", ["linears", "llama"])
def test_the_host_waits_once_in_20_iterations(
    device: torch.device, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    model, data = llama() if kind == "llama" else (ConsecutiveBlocks(depth=1).eval(), seed_loader())
    blocks = {"blocks": ["model.layers.0" if kind == "llama" else "linear_blocks.0"]}

    def waits(iterations: int) -> Counter[str]:
        with counting_waits(device, capfd) as counted:
            train_once(model, data, device, iterations, **blocks)
        return counted

    waits(ITERATIONS)  # libraries start
    assert of_more_iterations(waits)["waits"] <= 1


def test_what_waits_on_the_host_is_copied_beside_the_work(
    device: torch.device, capfd: pytest.CaptureFixture[str]
) -> None:
    """Page-locked memory, copied without a wait."""
    model, data = ConsecutiveBlocks(depth=3).eval(), seed_loader()
    options = {"blocks": ["linear_blocks.2"], "device_activation_memory": 0}

    def waits(iterations: int) -> Counter[str]:
        with counting_waits(device, capfd) as counted:
            train_once(model, data, device, iterations, **options)
        return counted

    waits(ITERATIONS)
    assert of_more_iterations(waits)["waits"] <= 1


def test_switches_come_back_after_a_failure_too(device: torch.device) -> None:
    model, data = ConsecutiveBlocks(depth=1).eval().to(device), to(seed_loader(), device)
    sim = simulate(model, data[0])

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = switches()
    with pytest.raises(KeyboardInterrupt), operators_of_torch():
        sim._core.apply_adascale([[x] for x in data], _C.AdaScaleOptions({"num_iterations": 40}), stop)
    assert switches() == before


def test_users_own_tf32_stays_theirs(device: torch.device) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        wanted = switches()
        train_once(ConsecutiveBlocks(depth=1).eval(), seed_loader(), device, 3, precision="float32")
        assert switches() == wanted
    finally:
        torch.set_float32_matmul_precision(before)
