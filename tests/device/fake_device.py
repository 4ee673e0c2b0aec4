"""A fake accelerator, `torch.device("fake")`: the host cannot touch its memory, and its work is counted.

fake/fake_device.h defines launch, sync and copy. Importing this module loads the library that
tests/CMakeLists.txt builds and makes "fake" the accelerator of the whole process.
"""

import contextlib
import ctypes
import functools
import os
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch

NAME = "fake"
BUILT = Path(__file__).resolve().parents[2] / "build/release/tests/libfake_device.so"


@dataclass
class Counts:
    launches: int = 0
    syncs: int = 0
    to_device: int = 0
    to_host: int = 0

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Counts)))


class _Counts(ctypes.Structure):
    _fields_ = [(field.name, ctypes.c_int64) for field in fields(Counts)]


def _load() -> ctypes.CDLL:
    path = Path(os.environ.get("FAKE_DEVICE_LIBRARY", BUILT))
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such library; build it (scripts/build) or set FAKE_DEVICE_LIBRARY"
        )
    torch.ops.load_library(path)
    library = ctypes.CDLL(str(path))
    library.fake_device_counts.restype = _Counts
    for size in ("limit", "used", "peak", "pinned"):
        getattr(library, f"fake_device_{size}").restype = ctypes.c_size_t
    library.fake_device_set_limit.argtypes = [ctypes.c_size_t]
    library.fake_device_tell_free.argtypes = [ctypes.c_bool]
    library.fake_device_set_limit.restype = ctypes.c_bool
    library.fake_device_seed.argtypes = [ctypes.c_uint64]
    library.fake_device_trace.argtypes = [ctypes.c_bool]
    return library


def counts() -> Counts:
    """The counts since the library was loaded, in all threads."""
    now = _library.fake_device_counts()
    return Counts(*(getattr(now, f.name) for f in fields(Counts)))


@contextlib.contextmanager
def counting() -> Iterator[Counts]:
    """Yields Counts that hold the block's counts after the block."""
    counted, before = Counts(), counts()
    try:
        yield counted
    finally:
        counted.__dict__.update((counts() - before).__dict__)


@contextlib.contextmanager
def trace() -> Iterator[None]:
    """Prints every launch, sync and copy to stderr; FAKE_DEVICE_TRACE=1 does so from the start."""
    _library.fake_device_trace(True)
    try:
        yield
    finally:
        _library.fake_device_trace(False)


@contextlib.contextmanager
def memory_limit(size: int) -> Iterator[None]:
    """A device of `size` bytes; FAKE_DEVICE_BYTES makes one from the start."""
    before = _library.fake_device_limit()
    if not _library.fake_device_set_limit(size):
        raise ValueError(f"memory_limit: the fake device cannot have {size} bytes")
    try:
        yield
    finally:
        _library.fake_device_set_limit(before)


@contextlib.contextmanager
def unknown_memory() -> Iterator[None]:
    """A backend that does not tell how much memory is free."""
    _library.fake_device_tell_free(False)
    try:
        yield
    finally:
        _library.fake_device_tell_free(True)


def used_bytes() -> int:
    return _library.fake_device_used()


def peak_bytes() -> int:
    """The most bytes used since the start or the last `reset_peak`."""
    return _library.fake_device_peak()


def reset_peak() -> None:
    _library.fake_device_reset_peak()


def pinned_bytes() -> int:
    return _library.fake_device_pinned()


class _Device:
    """`with torch.fake.device(0)`: there is only one."""

    def __init__(self, device: object = None) -> None:
        self.idx = 0

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def _torch_module() -> types.ModuleType:
    """The module that torch and transformers look up as `torch.<device>`."""
    module = types.ModuleType(f"torch.{NAME}")
    module.is_available = module.is_initialized = module.is_built = lambda: True
    process = os.getpid()
    module._is_in_bad_fork = lambda: os.getpid() != process
    module._lazy_init = module.init = lambda: None
    module.device_count = lambda: 1
    module.current_device = lambda: 0
    module.set_device = lambda device: None
    module.device = module.device_of = _Device
    module.get_device_name = lambda device=None: "fake device"
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    module.is_bf16_supported = lambda including_emulation=True: True
    module.manual_seed = module.manual_seed_all = lambda seed: _library.fake_device_seed(seed & (2**64 - 1))
    module.get_rng_state = lambda device=None: torch.ops.fake_device.rng_state()
    module.set_rng_state = lambda state, device=None: torch.ops.fake_device.set_rng_state(state)
    module.synchronize = lambda device=None: torch.accelerator.synchronize()
    module.current_stream = lambda device=None: torch.accelerator.current_stream()
    module.Stream = lambda device=None, **options: torch.Stream(device=NAME, **options)
    module.Event = lambda **options: torch.Event(device=NAME, **options)
    module.empty_cache = lambda: None
    module.mem_get_info = lambda device=None: (
        _library.fake_device_limit() - used_bytes(),
        _library.fake_device_limit(),
    )
    module.memory_allocated = module.memory_reserved = lambda device=None: used_bytes()
    module.max_memory_allocated = module.max_memory_reserved = lambda device=None: peak_bytes()
    module.reset_peak_memory_stats = lambda device=None: reset_peak()
    return module


def _keeping_parameters(apply: Callable[..., torch.nn.Module]) -> Callable[..., torch.nn.Module]:
    """Tied parameters stay tied when a module moves to the device, as on CUDA.

    `module.to` gives a parameter new data only between devices that torch knows. For ours it would make
    new parameters; when they are swapped, they stay the same objects.
    """

    def moves(fn: Callable[[torch.Tensor], torch.Tensor], parameter: torch.Tensor) -> bool:
        before, after = parameter.device.type, fn(parameter.new_empty(0)).device.type
        return before != after and NAME in (before, after)

    @functools.wraps(apply)
    def swapping(
        self: torch.nn.Module, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> torch.nn.Module:
        was_swapping = torch.__future__.get_swap_module_params_on_conversion()
        by_device = {parameter.device: parameter for parameter in self.parameters()}
        is_moved = any(moves(fn, parameter) for parameter in by_device.values())
        torch.__future__.set_swap_module_params_on_conversion(was_swapping or is_moved)
        try:
            return apply(self, fn, recurse)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(was_swapping)

    return swapping


_library = _load()
torch.utils.rename_privateuse1_backend(NAME)
torch._register_device_module(NAME, _torch_module())
torch.utils.generate_methods_for_privateuse1_backend()
torch.nn.Module._apply = _keeping_parameters(torch.nn.Module._apply)
