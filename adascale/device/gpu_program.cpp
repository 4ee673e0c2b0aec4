#include "adascale/device/gpu_program.h"

#include <ATen/Context.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <type_traits>

#include "adascale/core/error.h"

namespace adascale {
namespace {

using Handle = void*;
constexpr int kMajorOfCapability = 75, kMinorOfCapability = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...

// What we use of CUDA's driver and of NVRTC, as their manuals declare it: the headers are in a toolkit, which neither our
// build nor our users need. All results are 0 for success.
#define ADASCALE_FUNCTIONS(X)                                                                             \
  X(cuCtxGetCurrent, int (*)(Handle*))                                                                    \
  X(cuCtxSetCurrent, int (*)(Handle))                                                                     \
  X(cuDeviceGet, int (*)(int*, int))                                                                      \
  X(cuDeviceGetAttribute, int (*)(int*, int, int))                                                        \
  X(cuDevicePrimaryCtxRetain, int (*)(Handle*, int))                                                      \
  X(cuGetErrorString, int (*)(int, const char**))                                                         \
  X(cuLaunchKernel, int (*)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, \
                            Handle, void**, void**))                                                      \
  X(cuModuleGetFunction, int (*)(Handle*, Handle, const char*))                                           \
  X(cuModuleLoadData, int (*)(Handle*, const void*))                                                      \
  X(nvrtcCompileProgram, int (*)(Handle, int, const char* const*))                                        \
  X(nvrtcCreateProgram,                                                                                   \
    int (*)(Handle*, const char*, const char*, int, const char* const*, const char* const*))              \
  X(nvrtcDestroyProgram, int (*)(Handle*))                                                                \
  X(nvrtcGetCUBIN, int (*)(Handle, char*))                                                                \
  X(nvrtcGetCUBINSize, int (*)(Handle, size_t*))                                                          \
  X(nvrtcGetErrorString, const char* (*)(int))                                                            \
  X(nvrtcGetNumSupportedArchs, int (*)(int*))                                                             \
  X(nvrtcGetPTX, int (*)(Handle, char*))                                                                  \
  X(nvrtcGetPTXSize, int (*)(Handle, size_t*))                                                            \
  X(nvrtcGetProgramLog, int (*)(Handle, char*))                                                           \
  X(nvrtcGetProgramLogSize, int (*)(Handle, size_t*))                                                     \
  X(nvrtcGetSupportedArchs, int (*)(int*))                                                                \
  X(nvrtcVersion, int (*)(int*, int*))

struct Functions {
#define ADASCALE_DECLARE(name, type) std::type_identity_t<type> name = nullptr;
  ADASCALE_FUNCTIONS(ADASCALE_DECLARE)
#undef ADASCALE_DECLARE

  /// From torch's library that depends on both, so that its search path finds them.
  Functions() {
    Dl_info torch{};
    dladdr(reinterpret_cast<const void*>(&at::globalContext), &torch);
    const auto path =
        std::filesystem::path(torch.dli_fname ? torch.dli_fname : "").replace_filename("libcaffe2_nvrtc.so");
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ADA_CHECK(library != nullptr, "{} cannot be loaded: {}", path.string(), dlerror());
#define ADASCALE_FIND(name, type)                       \
  name = reinterpret_cast<type>(dlsym(library, #name)); \
  ADA_CHECK(name != nullptr, "{} loads no {}", path.string(), #name);
    ADASCALE_FUNCTIONS(ADASCALE_FIND)
#undef ADASCALE_FIND
    load_builtins();
  }

  /// NVRTC opens this library by its bare name, and pip's wheels are on no search path.
  void load_builtins() const {
    Dl_info nvrtc{};
    int major = 0, minor = 0;
    if (dladdr(reinterpret_cast<const void*>(nvrtcVersion), &nvrtc) == 0 || nvrtcVersion(&major, &minor) != 0)
      return;
    const std::string name = fmt::format("libnvrtc-builtins.so.{}.{}", major, minor);
    dlopen(std::filesystem::path(nvrtc.dli_fname).replace_filename(name).c_str(), RTLD_NOW | RTLD_GLOBAL);
  }

  void check(int result, const std::string& what) const {
    if (result == 0) return;
    const char* text = nullptr;
    cuGetErrorString(result, &text);
    fail("CUDA's driver, {}: {}", what, text ? text : fmt::format("error {}", result));
  }
};

const Functions& cuda() {
  static const Functions found;
  return found;
}

/// torch's own context of the device becomes the calling thread's, if it has none.
int enter(c10::Device device) {
  Handle context = nullptr;
  int number = 0;
  cuda().check(cuda().cuDeviceGet(&number, device.index()), "the device");
  cuda().check(cuda().cuCtxGetCurrent(&context), "its context");
  if (context != nullptr) return number;
  cuda().check(cuda().cuDevicePrimaryCtxRetain(&context, number), "its context");
  cuda().check(cuda().cuCtxSetCurrent(context), "its context");
  return number;
}

/// The device's capability where the compiler knows it: 90. Else its last one.
struct Architecture {
  int number;
  bool is_known;
};
Architecture architecture_of(int device) {
  int major = 0, minor = 0, count = 0;
  cuda().check(cuda().cuDeviceGetAttribute(&major, kMajorOfCapability, device), "its capability");
  cuda().check(cuda().cuDeviceGetAttribute(&minor, kMinorOfCapability, device), "its capability");
  const int wanted = 10 * major + minor;
  if (cuda().nvrtcGetNumSupportedArchs(&count) != 0 || count == 0) return {wanted, true};
  std::vector<int> known(count);
  cuda().nvrtcGetSupportedArchs(known.data());
  if (std::find(known.begin(), known.end(), wanted) != known.end()) return {wanted, true};
  return {*std::max_element(known.begin(), known.end()), false};
}

/// Machine code of the device; for one that is newer than the compiler, code that its driver translates.
std::vector<char> compile(int device, const GpuSource& source, std::vector<std::string> options) {
  const Architecture architecture = architecture_of(device);
  options.push_back(
      fmt::format("-arch={}_{}", architecture.is_known ? "sm" : "compute", architecture.number));
  std::vector<const char*> texts, names, words;
  for (const auto& [name, text] : source.headers)
    names.push_back(name.c_str()), texts.push_back(text.c_str());
  for (const std::string& option : options) words.push_back(option.c_str());
  Handle program = nullptr;
  const auto check = [&](int result) {
    if (result == 0) return;
    size_t size = 0;
    std::string log;
    if (program != nullptr && cuda().nvrtcGetProgramLogSize(program, &size) == 0) {
      log.resize(size);
      cuda().nvrtcGetProgramLog(program, log.data());
    }
    fail("{}, compiled for {}: {}: {}", source.name, options.back(), cuda().nvrtcGetErrorString(result), log);
  };
  check(cuda().nvrtcCreateProgram(&program, source.text.c_str(), source.name.c_str(),
                                  static_cast<int>(names.size()), texts.data(), names.data()));
  const std::unique_ptr<Handle, int (*)(Handle*)> owner(&program, cuda().nvrtcDestroyProgram);
  check(cuda().nvrtcCompileProgram(program, static_cast<int>(words.size()), words.data()));
  size_t size = 0;
  check(architecture.is_known ? cuda().nvrtcGetCUBINSize(program, &size)
                              : cuda().nvrtcGetPTXSize(program, &size));
  std::vector<char> code(size);
  check(architecture.is_known ? cuda().nvrtcGetCUBIN(program, code.data())
                              : cuda().nvrtcGetPTX(program, code.data()));
  return code;
}

}  // namespace

struct GpuProgram::Loaded {
  c10::Device device;
  Handle module = nullptr;
  mutable std::map<std::string, Handle> kernels;

  Handle kernel(const char* name) const {
    const auto known = kernels.find(name);
    if (known != kernels.end()) return known->second;
    Handle found = nullptr;
    cuda().check(cuda().cuModuleGetFunction(&found, module, name), name);
    return kernels[name] = found;
  }
};

GpuProgram::GpuProgram(c10::Device device, const GpuSource& source, const std::vector<std::string>& options)
    : loaded_(std::make_unique<Loaded>(device)) {
  ADA_CHECK(device.is_cuda(), "{}: {} is no CUDA device", source.name, device.str());
  cuda();  // or the guard would say that torch was built without it
  const c10::DeviceGuard guard(device);
  const int number = enter(device);
  const std::vector<char> code = compile(number, source, options);
  cuda().check(cuda().cuModuleLoadData(&loaded_->module, code.data()), source.name);
}

GpuProgram::~GpuProgram() = default;

void GpuProgram::launch(const char* kernel, unsigned blocks, unsigned threads, const void* argument) const {
  const c10::DeviceGuard guard(loaded_->device);
  enter(loaded_->device);
  const c10::Stream stream = c10::impl::VirtualGuardImpl(loaded_->device.type()).getStream(loaded_->device);
  void* arguments[] = {const_cast<void*>(argument)};
  cuda().check(cuda().cuLaunchKernel(loaded_->kernel(kernel), blocks, 1, 1, threads, 1, 1, 0,
                                     static_cast<Handle>(stream.native_handle()), arguments, nullptr),
               kernel);
}

}  // namespace adascale
