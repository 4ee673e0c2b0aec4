#include "adascale/tune/training_summary.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "adascale/core/words.h"

namespace adascale {
namespace {

/// Of an error; none where it cannot be told.
std::optional<double> change_of(double before, double after) {
  const double change = after / before - 1;
  return std::isfinite(change) ? std::optional(change) : std::nullopt;
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void count(const BlockReport& block, TrainingSummary& summary) {
  ++summary.blocks;
  if (!block.kept)
    ++(block.diverged ? summary.diverged : summary.stayed);
  else if (block.loss_after != block.loss_before)
    ++(block.loss_after < block.loss_before ? summary.better : summary.worse);
}

const LayerReport* noisier(const LayerReport* a, const LayerReport& b) {
  if (!std::isfinite(b.sqnr_db)) return a;
  return a == nullptr || b.sqnr_db < a->sqnr_db ? &b : a;
}

}  // namespace

TrainingSummary summarize(const AdaScaleReport& report) {
  TrainingSummary summary{.is_all_rounded = true};
  std::vector<double> changes, held_out;
  for (const BlockReport& block : report.blocks) {
    for (const LayerReport& layer : block.layers) summary.noisiest = noisier(summary.noisiest, layer);
    if (block.layers.empty()) continue;
    count(block, summary);
    summary.is_all_rounded &= block.loss_after == block.loss_before;
    const double after = block.kept ? block.loss_after : block.loss_before;
    if (const auto change = change_of(block.loss_before, after)) changes.push_back(*change);
    if (!block.held_out_before || !block.held_out_after) continue;
    const double kept = block.kept ? *block.held_out_after : *block.held_out_before;
    if (const auto change = change_of(*block.held_out_before, kept)) held_out.push_back(*change);
  }
  summary.change = median(std::move(changes));
  summary.held_out_change = median(std::move(held_out));
  return summary;
}

std::string verdict(const TrainingSummary& summary) {
  constexpr char kBetter[] = "came out closer to the full-precision model than round-to-nearest";
  const int64_t all = summary.blocks;
  if (all == 0) return "No block was trained.";
  if (summary.is_all_rounded)
    return fmt::format("Nothing was learned: {} {} rounded to nearest.", plural(all, "block"),
                       all == 1 ? "is" : "are");
  if (summary.is_good())
    return all == 1 ? fmt::format("The block {}.", kBetter) : fmt::format("All {} blocks {}.", all, kBetter);
  std::vector<std::string> parts = {
      fmt::format("{} of {} {}", summary.better, plural(all, "block"), kBetter)};
  if (summary.stayed > 0) parts.push_back(fmt::format("{} stayed as before training", summary.stayed));
  if (summary.diverged > 0)
    parts.push_back(fmt::format("{} diverged and stayed as before training", summary.diverged));
  if (summary.worse > 0) parts.push_back(fmt::format("{} came out worse", summary.worse));
  return fmt::format("{}.", fmt::join(parts, "; "));
}

std::string describe_change(double change) {
  const auto percent = std::lround(100 * std::abs(change));
  return change == 0 ? "no change" : fmt::format("{} % {}", percent, change < 0 ? "less" : "more");
}

}  // namespace adascale
