#include "adascale/tune/module_runs.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/spelling.h"

namespace adascale {
namespace {

using Calls = std::vector<RecordedCall>;
using Numbers = std::vector<size_t>;  // of calls, ascending

std::string parent_of(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

/// Those with two layers or more.
Numbers big_ones(const Calls& calls) {
  Numbers big;
  for (size_t i = 0; i < calls.size(); ++i)
    if (calls[i].layers > 1) big.push_back(i);
  return big;
}

bool is_inside(const Calls& calls, size_t inner, size_t outer) {
  return calls[inner].path.starts_with(calls[outer].path + ".");
}

bool is_inside_any(const Calls& calls, size_t inner, const Numbers& outer) {
  return std::any_of(outer.begin(), outer.end(), [&](size_t one) { return is_inside(calls, inner, one); });
}

/// Siblings of one class, called in a row, two or more.
std::vector<Numbers> runs_of(const Calls& calls) {
  std::map<std::string, std::vector<Numbers>> by_parent;
  for (const size_t call : big_ones(calls)) {
    std::vector<Numbers>& runs = by_parent[parent_of(calls[call].path)];
    if (runs.empty() || calls[runs.back().back()].kind != calls[call].kind) runs.emplace_back();
    runs.back().push_back(call);
  }
  std::vector<Numbers> found;
  for (auto& [parent, runs] : by_parent)
    for (Numbers& run : runs)
      if (run.size() > 1) found.push_back(std::move(run));
  return found;
}

Numbers pick_by_rule(const Calls& calls) {
  const std::vector<Numbers> runs = runs_of(calls);
  const auto holds_as_long_a_run = [&](const Numbers& run) {
    return std::any_of(runs.begin(), runs.end(), [&](const Numbers& other) {
      return other.size() >= run.size() && is_inside_any(calls, other.front(), run);
    });
  };
  Numbers kept, picked;
  for (const Numbers& run : runs)
    if (!holds_as_long_a_run(run)) kept.insert(kept.end(), run.begin(), run.end());
  for (const size_t call : kept)
    if (!is_inside_any(calls, call, kept)) picked.push_back(call);
  return picked;
}

std::string list_candidates(const Calls& calls, const Numbers& big) {
  constexpr size_t kShown = 8;
  std::vector<std::string> paths;
  for (const size_t call : big) paths.push_back(calls[call].path);
  const size_t shown = std::min(paths.size(), kShown);
  const std::string rest =
      paths.size() > shown ? fmt::format(" and {} more", paths.size() - shown) : std::string();
  return fmt::format("{}{}", fmt::join(paths.begin(), paths.begin() + static_cast<int64_t>(shown), ", "),
                     rest);
}

Numbers pick_by_name(const Calls& calls, const std::vector<std::string>& patterns) {
  const Numbers big = big_ones(calls);
  Numbers named, picked;
  for (const std::string& pattern : patterns) {
    const size_t before = named.size();
    for (const size_t call : big)
      if (glob_match(pattern, calls[call].path)) named.push_back(call);
    ADA_CHECK(named.size() > before, "{}: '{}' matches no module with two layers that ran; these did: {}",
              option("blocks"), pattern, list_candidates(calls, big));
  }
  for (const size_t call : named)
    if (!is_inside_any(calls, call, named)) picked.push_back(call);
  return picked;
}

}  // namespace

std::vector<size_t> pick_modules(const std::vector<RecordedCall>& calls,
                                 const std::vector<std::string>& patterns) {
  Numbers picked = patterns.empty() ? pick_by_rule(calls) : pick_by_name(calls, patterns);
  std::sort(picked.begin(), picked.end());
  picked.erase(std::unique(picked.begin(), picked.end()), picked.end());
  return picked;
}

}  // namespace adascale
