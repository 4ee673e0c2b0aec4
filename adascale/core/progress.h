#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace adascale {

/// One moment of a long run, as a bar or a log line shows it.
struct ProgressEvent {
  std::string stage;  ///< e.g. "block 3/6 encoder.layer.2"; a new stage begins a new bar
  std::string pass =
      {};  ///< "training": a loop of the stage, which fills the bar anew; empty: the stage is one loop
  int64_t step = 0;                 ///< 0..total, of the pass
  int64_t total = 0;                ///< 0: not counted
  std::optional<double> loss = {};  ///< the last one of the stage
  std::optional<double> seconds_left =
      {};                   ///< until the end of all blocks, or of a stage of one loop; none: not known
  bool ends_stage = false;  ///< the last event of the stage
  bool is_passing = false;  ///< the stage leaves nothing behind when it ends
};

/// Called from the thread that runs the work. Empty: no progress is shown.
using ProgressSink = std::function<void(const ProgressEvent&)>;

/// A sink for standard error: a bar with loss and time left on a terminal, a plain
/// line now and then otherwise.
ProgressSink stderr_progress();

/// Warnings and notes go here, one line each; standard error unless a door (the Python package) replaces it.
using LogSink = std::function<void(const std::string& line)>;
void set_log_sink(LogSink sink);
void log_line(const std::string& line);

}  // namespace adascale
