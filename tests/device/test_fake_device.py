"""The fake device itself: its refusals, counts, memory and streams."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fake_device
import pytest
import torch
from fake_device import Counts, counting
from torch import nn

FAKE = torch.device("fake")
LAUNCH = Counts(launches=1)


def run_alone(code: str, **environment: str) -> subprocess.CompletedProcess:
    prelude = "import ctypes, torch, fake_device\nx = torch.ones(4, device='fake')\n"
    return subprocess.run(
        [sys.executable, "-c", prelude + code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env=os.environ | environment,
    )


# The host and the device's memory


def test_host_access_dies_with_a_text_and_a_stack() -> None:
    died = run_alone("print(ctypes.string_at(x.data_ptr(), 4))")
    assert died.returncode == -11
    assert "fake device: the host touched device memory" in died.stderr
    assert "_ctypes" in died.stderr


def test_other_faults_are_not_claimed() -> None:
    died = run_alone("ctypes.string_at(8, 4)")
    assert died.returncode == -11
    assert "fake device" not in died.stderr


def test_writing_dies_too() -> None:
    died = run_alone("ctypes.memset(x.data_ptr(), 0, 4)")
    assert died.returncode == -11
    assert "the host touched device memory" in died.stderr


def test_numpy_is_refused() -> None:
    pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="can't convert fake:0 device type tensor to numpy"):
        torch.ones(2, device=FAKE).numpy()


def test_fresh_memory_is_nan() -> None:
    assert torch.empty(300, device=FAKE).isnan().all()


# Mixed devices


def fused_adam(step: torch.Tensor) -> None:
    state = [torch.ones(3, device=FAKE) for _ in range(4)]
    torch._fused_adam_(
        *[[t] for t in state], [], [step],
        lr=0.1, beta1=0.9, beta2=0.9, weight_decay=0, eps=1e-8, amsgrad=False, maximize=False,
    )  # fmt: skip


def on_cpu_and_device() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(3, 3), torch.ones(3, 3, device=FAKE)


@pytest.mark.parametrize(
    "mix",
    [
        lambda c, d: c + d,
        lambda c, d: d.add_(c),
        lambda c, d: d @ c,
        lambda c, d: torch.cat([d, c]),
        lambda c, d: torch.where(d > 0, d, c),
        lambda c, d: nn.functional.linear(d, d, c[0]),
        lambda c, d: nn.functional.conv1d(d[None], c[:, :, None]),
        lambda c, d: nn.functional.conv1d(d[None], d[:, :, None], c[0]),
        lambda c, d: nn.functional.embedding(c.long(), d),
        lambda c, d: nn.functional.layer_norm(d, (3,), c[0]),
        lambda c, d: d.index_select(0, c[0].long()),
        lambda c, d: torch.mm(d, d, out=c),
        lambda c, d: torch._foreach_add([d, d], [d, c]),
        lambda c, d: nn.LSTM(3, 3).to(FAKE)(d, (c[:1], c[:1])),
        lambda c, d: c[0, 0].add_(d[0, 0]),
        lambda c, d: fused_adam(c[0, 0]),
    ],
)
def test_mixed_devices_are_refused(mix: Callable) -> None:
    with pytest.raises(
        RuntimeError, match="(Expected all tensors to be on the same device|doesn't match|same device)"
    ):
        mix(*on_cpu_and_device())


def test_the_refusal_names_operator_and_argument() -> None:
    c, d = on_cpu_and_device()
    with pytest.raises(
        RuntimeError, match="got mat2 is on cpu, different from other tensors on fake:0.*aten::mm"
    ):
        d @ c


def test_numbers_and_indices_may_be_on_the_cpu() -> None:
    c, d = on_cpu_and_device()
    assert (d * torch.tensor(2.0)).sum().item() == 18
    assert torch.where(d > 0, d, torch.tensor(0.0)).sum().item() == 9
    rows = torch.tensor([0, 2])
    assert d[rows].shape == (2, 3)
    d[rows] = torch.zeros(2, 3, device=FAKE)
    assert d.sum().item() == 3
    fused_adam(torch.ones((), device=FAKE))


# Counts


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda d: d + 1, LAUNCH),
        (lambda d: d.add_(1).mul_(2), Counts(launches=2)),
        (lambda d: d.view(-1).unsqueeze(0).expand(2, 9)[:, 1:], Counts()),
        (lambda d: d.t().contiguous(), LAUNCH),
        (lambda d: torch.empty(3, device=FAKE), Counts()),
        (lambda d: torch.zeros(3, device=FAKE), LAUNCH),
        (lambda d: d.sum(), LAUNCH),
        (lambda d: d[0, 0].item(), Counts(syncs=1)),
        (lambda d: bool(d[0, 0] > 0), Counts(launches=1, syncs=1)),
        (lambda d: d.cpu(), Counts(syncs=1, to_host=1)),
        (lambda d: torch.ones(3).to(FAKE), Counts(to_device=1)),
        (lambda d: torch.tensor([1.0, 2.0], device=FAKE), Counts(to_device=1)),
        (lambda d: d.nonzero(), Counts(launches=1, syncs=1)),
        (lambda d: d[d > 0], Counts(launches=3, syncs=1)),
        (lambda d: d.masked_fill(d > 0, 1), Counts(launches=3)),
        (lambda d: d.__setitem__(d > 0, 5.0), Counts(launches=3)),
        (lambda d: d.__setitem__(d > 0, d.view(-1) + 1), Counts(launches=3, syncs=1)),
        (lambda d: nn.functional.linear(d, d, d[0]), LAUNCH),
        (lambda d: nn.functional.conv1d(d[None], d[:, :, None]), LAUNCH),
        (lambda d: torch.fake.synchronize(), Counts(syncs=1)),
    ],
)
def test_counts(work: Callable, expected: Counts) -> None:
    d = torch.ones(3, 3, device=FAKE)
    with counting() as counted:
        work(d)
    assert counted == expected


def test_training_waits_for_nothing() -> None:
    layer = nn.Linear(4, 2).to(FAKE)
    x = torch.randn(3, 4, device=FAKE)
    with counting() as counted:
        layer(x).square().sum().backward()
    assert (counted.syncs, counted.to_device, counted.to_host) == (0, 0, 0)
    assert 5 <= counted.launches <= 12


def test_a_fused_cell_is_one_launch() -> None:
    steps = {}
    for length in (2, 3):
        lstm, x = nn.LSTM(4, 4).to(FAKE), torch.randn(length, 1, 4, device=FAKE)
        with counting() as counted, torch.no_grad():
            lstm(x)
        steps[length] = counted.launches
    assert steps[3] - steps[2] == 3  # two products and the cell


def test_counts_of_counts() -> None:
    assert Counts(5, 4, 3, 2) - Counts(1, 1, 1, 1) == Counts(4, 3, 2, 1)


def test_trace_prints_each(capfd: pytest.CaptureFixture) -> None:
    d = torch.ones(2, device=FAKE)
    with fake_device.trace():
        (d + d).sum().item()
        d.cpu()
    d + d
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        f"fake device: {line}"
        for line in (
            "launch aten::add", "launch aten::sum", "sync aten::_local_scalar_dense",
            "copy to the host [2]", "sync copy to the host",
        )
    ]  # fmt: skip


# Pinned memory and streams


def test_pinned_memory() -> None:
    before = fake_device.pinned_bytes()
    x = torch.randn(1000)
    pinned = x.pin_memory()
    assert pinned.is_pinned() and not x.is_pinned() and pinned.equal(x)
    assert torch.empty(3, pin_memory=True).is_pinned()
    assert pinned[10:20].is_pinned()
    assert fake_device.pinned_bytes() == before + 4000
    del pinned
    assert fake_device.pinned_bytes() == before


@pytest.mark.parametrize(("pin", "non_blocking", "syncs"), [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_copies_to_the_host_wait_unless_pinned_and_non_blocking(
    pin: int, non_blocking: int, syncs: int
) -> None:
    d = torch.arange(6.0, device=FAKE)
    host = torch.empty(6, pin_memory=bool(pin))
    with counting() as counted:
        host.copy_(d, non_blocking=bool(non_blocking))
    assert counted == Counts(to_host=1, syncs=syncs)
    assert host.equal(torch.arange(6.0))


def test_streams_and_events() -> None:
    main, side = torch.accelerator.current_stream(), torch.Stream(device=FAKE)
    x = torch.randn(10).pin_memory()
    with counting() as counted:
        with side:
            assert torch.accelerator.current_stream() == side
            d = x.to(FAKE, non_blocking=True)
            copied = side.record_event()
        main.wait_event(copied)
        d.record_stream(main)
    assert counted == Counts(to_device=1)
    assert torch.accelerator.current_stream() == main
    with counting() as counted:
        copied.synchronize()
        side.synchronize()
    assert counted == Counts(syncs=2)


# Memory


def test_out_of_memory() -> None:
    text = "fake device out of memory. Tried to allocate 2.00 KiB. fake:0 has .* of which 1024 bytes is free"
    with fake_device.memory_limit(fake_device.used_bytes() + 1024):
        with pytest.raises(torch.OutOfMemoryError, match=text):
            torch.empty(512, device=FAKE)
        torch.empty(256, device=FAKE)
    torch.empty(512, device=FAKE)


def test_a_device_of_a_size_from_the_start() -> None:
    code = "print(torch.accelerator.get_memory_info()[1])\ntorch.empty(2048, device='fake')"
    small = run_alone(code, FAKE_DEVICE_BYTES="4096")
    assert small.stdout == "4096\n"
    assert "OutOfMemoryError: fake device out of memory. Tried to allocate 8.00 KiB" in small.stderr
    assert "FAKE_DEVICE_BYTES: got 99999999999999" in run_alone("", FAKE_DEVICE_BYTES="99999999999999").stderr


def test_more_than_the_device_can_have() -> None:
    with (
        pytest.raises(ValueError, match="cannot have 1152921504606846976 bytes"),
        fake_device.memory_limit(1 << 60),
    ):
        pass


def test_memory_info_and_peak() -> None:
    with fake_device.memory_limit(1 << 30):
        free, total = torch.accelerator.get_memory_info()
        assert total == 1 << 30
        fake_device.reset_peak()
        start = fake_device.used_bytes()
        x = torch.empty(1 << 20, dtype=torch.uint8, device=FAKE)
        assert torch.accelerator.get_memory_info() == (free - (1 << 20), total) == torch.fake.mem_get_info()
        del x
        assert fake_device.used_bytes() == start
        assert fake_device.peak_bytes() == start + (1 << 20) == torch.accelerator.max_memory_allocated()


def test_memory_is_used_again() -> None:
    with fake_device.memory_limit(fake_device.used_bytes() + (8 << 20)):
        kept = [torch.full((1 << 20,), float(i), device=FAKE) for i in range(2)]
        for i in range(20):
            kept[i % 2] = None
            kept[i % 2] = torch.full((1 << 20,), float(i), device=FAKE)
        assert [k[-1].item() for k in kept] == [18, 19]


def test_a_number_divides_as_on_cuda() -> None:
    """By its reciprocal; a tensor on the device divides as on the CPU."""
    x = torch.linspace(0.1, 7, 1000)
    on_device = x.to(FAKE)
    by_number, by_tensor = on_device / 15, on_device / torch.full((), 15.0, device=FAKE)
    assert torch.equal(by_number.cpu(), x * torch.tensor(1 / 15))
    assert not torch.equal(by_number.cpu(), x / 15)
    assert torch.equal(by_tensor.cpu(), x / 15)
    assert torch.equal((on_device.clone().div_(15)).cpu(), by_number.cpu())
    assert torch.equal((on_device.double() / 15).cpu(), x.double() / 15)
