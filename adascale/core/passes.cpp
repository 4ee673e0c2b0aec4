#include "adascale/core/passes.h"

#include <chrono>
#include <utility>

#include "adascale/core/interrupt.h"

namespace adascale {
namespace {

const PassSink*& watcher() {
  static thread_local const PassSink* present = nullptr;
  return present;
}

}  // namespace

WatchPasses::WatchPasses(PassSink sink) : sink_(std::move(sink)), before_(std::exchange(watcher(), &sink_)) {}

WatchPasses::~WatchPasses() {
  watcher() = before_;
}

PassSink as_stages(ProgressSink sink, bool passing) {
  if (!sink) return {};
  using Clock = std::chrono::steady_clock;
  return [sink = std::move(sink), passing, begin = Clock::now()](const PassEvent& pass) mutable {
    if (pass.step == pass.from) begin = Clock::now();
    const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
    std::optional<double> left;
    if (pass.step > pass.from)
      left = spent * static_cast<double>(pass.total - pass.step) / static_cast<double>(pass.step - pass.from);
    sink({.stage = pass.name,
          .step = pass.step,
          .total = pass.total,
          .loss = pass.loss,
          .seconds_left = left,
          .ends_stage = pass.step == pass.total,
          .is_passing = passing});
  };
}

Pass::Pass(std::string name, int64_t total, int64_t from)
    : event_{std::move(name), from, total, std::nullopt, from} {
  reach(from, std::nullopt);
}

void Pass::reach(int64_t step, std::optional<double> loss) {
  check_interrupt();
  event_.step = step;
  event_.loss = loss;
  if (watcher() != nullptr && *watcher()) (*watcher())(event_);
}

}  // namespace adascale
