#include "adascale/device/devices.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"
#include "adascale/core/spelling.h"

namespace adascale {
namespace {

using c10::DeviceType;

/// libtorch_cuda.so beside the libtorch_cpu.so of this process, whether it exists or not.
std::filesystem::path cuda_library() {
  Dl_info info{};
  dladdr(reinterpret_cast<const void*>(&at::globalContext), &info);
  return std::filesystem::path(info.dli_fname ? info.dli_fname : "").replace_filename("libtorch_cuda.so");
}

bool is_cuda_build() {
  return c10::impl::hasDeviceGuardImpl(DeviceType::CUDA) || std::filesystem::exists(cuda_library());
}

/// Asks the driver: torch's CUDA library takes seconds and gigabytes to load.
int count_cuda_devices() {
  static const int count = [] {
    void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (driver == nullptr) return 0;
    const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
    const auto get_count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
    int found = 0;
    if (init == nullptr || get_count == nullptr || init(0) != 0 || get_count(&found) != 0) return 0;
    return found;
  }();
  return count;
}

/// Torch's Python package loads its CUDA library itself; a process without Python has
/// none until it is needed.
void load_cuda() {
  if (c10::impl::hasDeviceGuardImpl(DeviceType::CUDA)) return;
  const std::string library = cuda_library().string();
  ADA_CHECK(dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr,
            "{}: {} cannot be loaded: {}; mend the installation of torch, or use cpu", option("device"),
            library, dlerror());
}

/// For questions before the first tensor, e.g. about its memory: Torch initializes a device only then.
void start(DeviceType type) {
  try {
    if (type == DeviceType::CUDA) load_cuda();
    at::globalContext().lazyInitDevice(type);
  } catch (const c10::Error& error) {  // boundary: a driver that does not answer, in one line
    fail("{}: {} cannot be used: {}; mend its driver, or use cpu", option("device"),
         c10::DeviceTypeName(type, /*lower_case=*/true), first_line(error.what_without_backtrace()));
  }
}

int count_devices(DeviceType type) {
  if (type == DeviceType::CPU) return 1;
  if (type == DeviceType::Meta) return 0;
  const bool is_loaded = c10::impl::hasDeviceGuardImpl(type);
  // Not torch's device guard: without a GPU, torch.export replaces it by one of eight devices.
  if (type == DeviceType::CUDA && is_loaded) return at::detail::getCUDAHooks().getNumGPUs();
  if (type == DeviceType::CUDA) return is_cuda_build() ? count_cuda_devices() : 0;
  return is_loaded ? c10::impl::getDeviceGuardImpl(type)->deviceCount() : 0;
}

/// Why there is no device of the type, and the cure.
std::string describe_absence(DeviceType type) {
  if (type == DeviceType::CUDA && !is_cuda_build())
    return "; this torch is built for the CPU alone: install its CUDA build";
  if (type == DeviceType::CUDA) return "; CUDA's driver finds no GPU: see what nvidia-smi says";
  if (type == DeviceType::Meta) return "; it holds no numbers";
  return "; no backend for it is loaded: import the package that brings it";
}

c10::Device parse(const std::string& name) {
  try {
    return c10::Device(name);
  } catch (const c10::Error&) {  // boundary: libtorch's pages become one line
    fail("{}: got '{}', expected auto or one of {}", option("device"), name,
         fmt::join(present_devices(), ", "));
  }
}

}  // namespace

namespace {

/// Of this process among those that torchrun started on this machine: each takes a device of its own.
int number_on_this_machine() {
  const char* number = std::getenv("LOCAL_RANK");
  return number == nullptr ? 0 : std::atoi(number);
}

}  // namespace

std::vector<std::string> present_devices() {
  std::vector<std::string> names{"cpu"};
  for (int number = 0; number < c10::COMPILE_TIME_MAX_DEVICE_TYPES; ++number) {
    const auto type = static_cast<DeviceType>(number);
    if (type == DeviceType::CPU) continue;
    for (int i = 0; i < count_devices(type); ++i)
      names.push_back(c10::Device(type, static_cast<c10::DeviceIndex>(i)).str());
  }
  return names;
}

c10::Device find_device(const std::string& name) {
  const c10::Device device = parse(name);
  const int count = count_devices(device.type());
  ADA_CHECK(count > 0 && device.index() < count, "{}: got '{}', expected auto or one of {}{}",
            option("device"), name, fmt::join(present_devices(), ", "),
            count > 0 ? "" : describe_absence(device.type()));
  if (device.is_cpu()) return c10::Device(DeviceType::CPU);
  start(device.type());
  return device.has_index() ? device : c10::impl::getDeviceGuardImpl(device.type())->getDevice();
}

c10::Device preferred_device() {
  if (count_devices(DeviceType::CUDA) == 0) return c10::Device(DeviceType::CPU);
  try {
    return find_device(fmt::format("cuda:{}", number_on_this_machine()));
  } catch (const Error& error) {                      // boundary: nobody asked for CUDA
    if (std::getenv("LOCAL_RANK") != nullptr) throw;  // torchrun's other processes may have theirs
    log_line(fmt::format("{}; the CPU is used", error.what()));
    return c10::Device(DeviceType::CPU);
  }
}

void wait_for(c10::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

}  // namespace adascale
