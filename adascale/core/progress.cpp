#include "adascale/core/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>

namespace adascale {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// "block 3/6 encoder.layer.2: training  31/192  loss 0.01  12 s, 140 s left".
std::string describe(const ProgressEvent& event, double elapsed) {
  std::string text = event.stage;
  if (!event.pass.empty()) text += ": " + event.pass;
  if (event.total > 0) text += fmt::format("  {}/{}", event.step, event.total);
  if (event.loss) text += fmt::format("  loss {:.4g}", *event.loss);
  text += fmt::format("  {:.0f} s", elapsed);
  if (event.seconds_left) text += fmt::format(", {:.0f} s left", *event.seconds_left);
  return text;
}

/// Of the terminal: a longer line could not be replaced.
size_t columns() {
  winsize size{};
  const bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col - 1U : std::string::npos;
}

/// State of the stage shown now.
class StderrProgress {
 public:
  void show(const ProgressEvent& event) {
    if (event.stage != stage_) begin(event.stage);
    if (event.ends_stage && event.is_passing) return clear();
    if (seconds_since(shown_) < period_ && !event.ends_stage) return;
    shown_ = Clock::now();
    const std::string text = describe(event, seconds_since(start_));
    if (terminal_) {
      const int64_t width = 24, filled = event.total > 0 ? width * event.step / event.total : width;
      const std::string line =
          fmt::format("[{}{}] {}", std::string(filled, '='), std::string(width - filled, ' '), text);
      fmt::print(stderr, "\r\x1b[K{}{}", line.substr(0, columns()), event.ends_stage ? "\n" : "");
    } else {
      fmt::print(stderr, "{}\n", text);
    }
    std::fflush(stderr);
  }

 private:
  void begin(const std::string& stage) {
    stage_ = stage;
    start_ = Clock::now();
    shown_ = terminal_ ? Clock::time_point{} : start_;
  }

  void clear() {
    stage_.clear();
    if (!terminal_) return;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
  }

  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  const double period_ = terminal_ ? 0.1 : 10.0;  // seconds between two lines
  std::string stage_;
  Clock::time_point start_, shown_;
};

std::mutex log_mutex;
LogSink& log_sink() {
  static LogSink sink = [](const std::string& line) { fmt::print(stderr, "adascale: {}\n", line); };
  return sink;
}

}  // namespace

ProgressSink stderr_progress() {
  auto state = std::make_shared<StderrProgress>();
  return [state](const ProgressEvent& event) { state->show(event); };
}

void set_log_sink(LogSink sink) {
  const std::lock_guard lock(log_mutex);
  log_sink() = std::move(sink);
}

void log_line(const std::string& line) {
  const std::lock_guard lock(log_mutex);
  if (log_sink()) log_sink()(line);
}

}  // namespace adascale
