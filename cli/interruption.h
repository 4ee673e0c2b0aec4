#pragma once
#include <string>

namespace adascale {

/// While it lives, Ctrl-C and SIGTERM end the process at once, whatever its threads do: files that are not in place
/// yet are removed, `hint` is the last line said, and the exit code is 130 or 143. A commit that has begun ends
/// first.
class Interruption {
 public:
  explicit Interruption(std::string hint);
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
};

}  // namespace adascale
