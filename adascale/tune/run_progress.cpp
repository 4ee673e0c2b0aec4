#include "adascale/tune/run_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace adascale {
namespace {

/// An attempt with shorter steps, "training, 0.25 of the step", is of the same kind.
std::string kind_of(const std::string& pass) {
  return pass.starts_with(kTraining) ? kTraining : pass;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

RunProgress::RunProgress(ProgressSink sink, std::function<double()> now)
    : sink_(std::move(sink)), now_(now ? std::move(now) : seconds_now), last_(now_()) {}

void RunProgress::begin(size_t block, size_t blocks, const std::string& name, int64_t to_come) {
  stage_ = fmt::format("block {}/{} {}", block + 1, blocks, name);
  to_come_ = to_come;
  kind_.clear();
  is_inside_ = true;
  loss_.reset();
  trained_steps_ = all_to_train_ = 0;
  here_.clear();
}

void RunProgress::see(const PassEvent& pass) {
  account(pass);
  if (pass.loss) {
    loss_ = pass.loss;
    trained_steps_ = pass.step;
    all_to_train_ = pass.total;
  }
  if (!sink_) return;
  ProgressEvent shown = event();
  shown.pass = pass.name;
  shown.step = pass.step;
  shown.total = pass.total;
  sink_(shown);
}

void RunProgress::end(bool is_new) {
  is_inside_ = false;
  if (is_new) {
    ++new_blocks_;
    for (const auto& [kind, steps] : here_) finished_[kind] += steps;
  }
  if (!sink_) return;
  ProgressEvent shown = event();
  shown.step = trained_steps_;
  shown.total = all_to_train_;
  shown.ends_stage = true;
  sink_(shown);
}

/// All time since the last event is this pass's, what was done between two passes included.
void RunProgress::account(const PassEvent& pass) {
  const double now = now_();
  const int64_t before = pass.step == 0 ? 0 : step_;
  const auto steps = static_cast<double>(pass.step - before);
  Cost& cost = costs_[kind_of(pass.name)];
  cost.seconds += now - std::exchange(last_, now);
  cost.steps += steps;
  kind_ = kind_of(pass.name);
  here_[kind_] += steps;
  step_ = pass.step;
  total_ = pass.total;
}

/// In one block, by kind.
RunProgress::Steps RunProgress::steps_of_a_block() const {
  if (new_blocks_ == 0) return expected_;
  Steps mean = finished_;
  for (auto& [kind, steps] : mean) steps /= static_cast<double>(new_blocks_);
  return mean;
}

/// Of this kind, in the rest of the block: at least those of the present pass, which may be one more than usual.
double RunProgress::steps_left_here(const std::string& kind, double expected) const {
  if (!is_inside_) return 0;
  const auto done = here_.find(kind);
  const double left = expected - (done == here_.end() ? 0 : done->second);
  return std::max(left, kind == kind_ ? static_cast<double>(total_ - step_) : 0.0);
}

/// None while a kind of pass that is to come has not been timed.
std::optional<double> RunProgress::seconds_left() const {
  const Steps steps_by_kind = steps_of_a_block();
  if (steps_by_kind.empty()) return std::nullopt;
  double seconds = 0;
  for (const auto& [kind, steps] : steps_by_kind) {
    const double left = steps_left_here(kind, steps) + steps * static_cast<double>(to_come_);
    if (left == 0) continue;
    const auto cost = costs_.find(kind);
    if (cost == costs_.end() || cost->second.steps == 0) return std::nullopt;
    seconds += left * cost->second.seconds / cost->second.steps;
  }
  return seconds;
}

ProgressEvent RunProgress::event() const {
  return {.stage = stage_, .loss = loss_, .seconds_left = seconds_left()};
}

}  // namespace adascale
