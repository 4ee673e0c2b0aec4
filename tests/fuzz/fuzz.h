#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "adascale/core/error.h"
#include "adascale/core/progress.h"

namespace adascale::fuzz {

/// A file in memory of the fuzzer's bytes, for readers that take a path.
class File {
 public:
  File(const void* data, size_t size) : descriptor_(memfd_create("fuzz", 0)) {
    if (descriptor_ < 0 || write(descriptor_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~File() { close(descriptor_); }
  File(const File&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// For any bytes, `read` gives a result or an objection that begins with `origin`.
template <class Read>
void expect_result_or_objection(const std::string& origin, const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (error.fault() == Error::Fault::kUser && text.rfind(origin, 0) == 0) return;
    std::fprintf(stderr, "not an objection to the file: %s\n", text.c_str());
    std::abort();
  }
}

/// Reads every byte, so that a view beyond its memory is detected.
inline void touch(const void* data, size_t size) {
  [[maybe_unused]] static volatile uint8_t sink;
  for (size_t i = 0; i < size; ++i) sink = static_cast<const uint8_t*>(data)[i];
}

/// A note for each of a million inputs would hide what matters.
inline void silence_notes() {
  set_log_sink([](const std::string&) {});
}

}  // namespace adascale::fuzz
