#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "adascale/core/progress.h"

namespace adascale {

/// How far one loop of long work is.
struct PassEvent {
  std::string name;  ///< "training"
  int64_t step;      ///< `from` as it begins, then up to total
  int64_t total;
  std::optional<double> loss;
  int64_t from = 0;  ///< steps that an interrupted run has done
};
using PassSink = std::function<void(const PassEvent&)>;

/// While it lives, this thread's passes are told to `sink` instead of whoever watched before.
class WatchPasses {
 public:
  explicit WatchPasses(PassSink sink);
  ~WatchPasses();
  WatchPasses(const WatchPasses&) = delete;

 private:
  PassSink sink_;
  const PassSink* before_;
};

/// Shows each pass as a stage of its own; a `passing` one leaves nothing behind when it ends. An empty sink:
/// nothing is shown.
PassSink as_stages(ProgressSink sink, bool passing = false);

/// A loop over batches, weights, iterations or the tensors of a file. At its begin and after each step it lets an interrupt end the
/// work (check_interrupt), then tells who watches. Both may throw.
class Pass {
 public:
  Pass(std::string name, int64_t total, int64_t from = 0);
  void step() { reach(event_.step + 1, std::nullopt); }
  void reach(int64_t step, std::optional<double> loss);

 private:
  PassEvent event_;
};

}  // namespace adascale
