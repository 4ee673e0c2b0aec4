#pragma once
#include <string>

namespace adascale {

/// While it lives, Ctrl-C and SIGTERM end the process at once, whatever its threads do: files that are not in place
/// yet are removed, the last line says what is left behind, and the exit code is 130 or 143. A commit that has begun
/// ends first.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// From now on the last line says this instead of "nothing was written".
  static void say(std::string leaves);
};

}  // namespace adascale
