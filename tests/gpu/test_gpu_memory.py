"""Device memory: activations in every tier, the preflight's number, a device that is too small."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from both_sides import encodings_of, operators_of_torch, to
from sides import simulate
from small_models import ConsecutiveBlocks, seed_loader
from torch import nn

import adascale
from adascale import _C

MIB = 1 << 20
TIERS = {
    "device": (None, 4096),
    "page-locked": (0, 4096),
    "file": (0, 0),
    "a little of each": (1, 1),
}
# cuBLAS and cuBLASLt each keep a workspace, 32 MiB on Hopper, for each thread that multiplies: two do.
WORKSPACES = 160 * MIB


def memory(device: torch.device) -> Any:
    """torch.cuda, or torch.fake, which has the same names for the calls made here."""
    return torch.get_device_module(device)


@contextlib.contextmanager
def nearly_full(device: torch.device, left: int) -> Iterator[None]:
    """A device with about `left` bytes free. On CUDA tensors take the rest: a limit on torch's allocator
    does not change the free memory that the driver reports."""
    if device.type == "fake":
        import fake_device

        with fake_device.memory_limit(fake_device.used_bytes() + left):
            yield
        return
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    ballast: list[torch.Tensor] = []
    for size in (1 << 30, 64 * MIB, 2 * MIB):
        with contextlib.suppress(torch.cuda.OutOfMemoryError):  # the last pages may be the driver's
            while free_bytes(device) - left >= size:
                ballast.append(torch.empty(size, dtype=torch.uint8, device=device))
    try:
        yield
    finally:
        ballast.clear()
        torch.cuda.empty_cache()


def free_bytes(device: torch.device) -> int:
    free = _C.free_device_bytes(str(device))
    assert free is not None
    return free


def wide(device: torch.device, width: int, depth: int = 2) -> nn.Module:
    return ConsecutiveBlocks(width, depth).eval().to(device)


def trained(model: nn.Module, data: list[Any], where: tuple[int | None, int], **options: Any) -> Any:
    on_device, on_host = where
    sim = simulate(model, data[0])
    report = adascale.apply_adascale(
        sim, data, progress=False, device_activation_memory=on_device, activation_memory=on_host, **options
    )
    return encodings_of(sim), [(block.loss_before, block.loss_after) for block in report.blocks]


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_wherever_activations_wait_the_result_is_the_same(device: torch.device, precision: str) -> None:
    """Repeated, with copies that take as long as steps: a race would show as another result."""
    size, times = (1024, 3) if device.type == "cuda" else (128, 1)
    model = wide(device, size, depth=3)
    data = seed_loader(size, samples=size // 2, batch=size // 16)  # 8 batches; 24 MiB each on CUDA
    options = {"num_iterations": 12, "precision": precision}
    with operators_of_torch():
        expected, losses = trained(model, to(data, device), TIERS["device"], **options)
        for name in [*TIERS] * times:
            got, found = trained(model, data if name == "file" else to(data, device), TIERS[name], **options)
            assert found == losses, name
            for parameter, parts in expected.items():
                assert all(map(torch.equal, parts, got[parameter])), f"{name}: {parameter}"


@pytest.mark.parametrize("recipe", ["fast", "aimet"])
@pytest.mark.parametrize("case", ["weights", "activations"])
def test_a_block_takes_about_what_the_preflight_says(device: torch.device, recipe: str, case: str) -> None:
    """The refusal comes at the number; training within it takes no more, nor less than a third."""
    scale = 4 if device.type == "cuda" else 1
    width, samples = (1024 * scale, 2) if case == "weights" else (128 * scale, 512 * scale)
    data = seed_loader(width, samples=2 * samples, batch=samples)
    model = wide(device, width)
    trained(wide(device, 64), to(seed_loader(), device), (0, 4096), num_iterations=1)  # libraries start
    sim = simulate(model, data[0])
    said = said_bytes(device, sim, data, recipe)
    data = to(data, device)
    module = memory(device)
    module.empty_cache()
    before = module.memory_allocated(device)
    module.reset_peak_memory_stats(device)
    adascale.apply_adascale(
        sim,
        data,
        num_iterations=3,
        recipe=recipe,
        precision="float32",
        progress=False,
        device_activation_memory=0,
    )
    taken = module.max_memory_allocated(device) - before
    slack = WORKSPACES if device.type == "cuda" else MIB
    print(f"{case}, {recipe}: said {said >> 20} MiB, took {taken >> 20} MiB")
    assert taken <= said + slack
    assert said <= 3 * taken + slack


def said_bytes(device: torch.device, sim: Any, data: list[Any], recipe: str) -> int:
    with nearly_full(device, 2 * MIB), pytest.raises(adascale.Error, match="largest block takes") as refusal:
        adascale.apply_adascale(sim, data, num_iterations=2, progress=False, recipe=recipe)
    return int(str(refusal.value).split("takes about ")[1].split(" MiB")[0]) * MIB


def test_too_small_a_device_is_refused_and_a_larger_one_is_not(device: torch.device) -> None:
    model, data = wide(device, 2048 if device.type == "cuda" else 512), seed_loader(2048)
    data = data if device.type == "cuda" else seed_loader(512)
    sim = simulate(model, data[0])
    with nearly_full(device, 8 * MIB), pytest.raises(adascale.Error) as refusal:
        adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
    text = str(refusal.value)
    assert text.startswith(f"device: {device} has ")
    assert text.endswith("; give smaller batches, smaller blocks (blocks), or another device")
    assert adascale.apply_adascale(sim, data, num_iterations=2, progress=False).blocks


def test_more_activation_memory_than_there_is_is_refused(device: torch.device) -> None:
    model, data = wide(device, 256), seed_loader(256)
    sim = simulate(model, data[0])
    said = rf"device_activation_memory: got 300 MiB, but {device} has"
    with nearly_full(device, 256 * MIB), pytest.raises(adascale.Error, match=said):
        adascale.apply_adascale(sim, data, device_activation_memory=300, progress=False)


def test_nothing_stays_on_the_device_that_was_not_there(device: torch.device) -> None:
    model, data = wide(device, 512), to(seed_loader(512), device)
    trained(wide(device, 64), to(seed_loader(), device), (0, 4096), num_iterations=1)
    sim = simulate(model, data[0])
    module = memory(device)
    before = module.memory_allocated(device)
    adascale.apply_adascale(sim, data, num_iterations=2, progress=False)
    quantized = sum(parameter.nbytes for parameter in model.parameters() if parameter.dim() > 1)
    slack = WORKSPACES if device.type == "cuda" else MIB
    assert module.memory_allocated(device) - before <= quantized + slack
