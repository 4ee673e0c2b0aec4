#pragma once
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace adascale {

/// Source text for a GPU, with the headers it includes by name.
struct GpuSource {
  std::string name, text;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// A program of a CUDA device, compiled when it is made, by the compiler that torch's CUDA build brings (NVRTC): neither
/// our build nor the user's machine needs a CUDA toolkit. What it loads onto the device stays until the process ends.
class GpuProgram {
 public:
  /// `options` are the compiler's. Throws (user) where torch brings no compiler or the driver refuses the program.
  GpuProgram(c10::Device device, const GpuSource& source, const std::vector<std::string>& options);
  ~GpuProgram();
  GpuProgram(const GpuProgram&) = delete;
  GpuProgram& operator=(const GpuProgram&) = delete;

  /// Queues an `extern "C"` kernel of one argument, given by its address, on the device's present stream.
  void launch(const char* kernel, unsigned blocks, unsigned threads, const void* argument) const;

 private:
  struct Loaded;
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace adascale
