#include "adascale/run/knapsack.h"

#include <algorithm>

#include "adascale/core/error.h"

namespace adascale {
namespace {

using Options = std::vector<KnapsackOption>;

/// From one option of a choice to another that costs more and loses less.
struct Step {
  size_t choice, to;
  int64_t cost;  ///< more than before, > 0
  double saved;  ///< > 0

  double rate() const { return saved / static_cast<double>(cost); }
};

Step step_between(const Options& options, size_t choice, size_t from, size_t to) {
  return {choice, to, options[to].cost - options[from].cost, options[from].loss - options[to].loss};
}

size_t cheapest(const Options& options) {
  const auto is_before = [](const KnapsackOption& a, const KnapsackOption& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.loss < b.loss;
  };
  return std::min_element(options.begin(), options.end(), is_before) - options.begin();
}

/// The steps along the lower convex hull of a choice's options: those that some price takes. Their rates fall.
std::vector<Step> hull_steps(const Options& options, size_t choice) {
  std::vector<Step> steps;
  size_t at = cheapest(options);
  while (true) {
    Step best{};
    for (size_t to = 0; to < options.size(); ++to) {
      const Step step = step_between(options, choice, at, to);
      if (step.cost <= 0 || step.saved <= 0) continue;
      const bool is_better = best.cost == 0 || step.rate() > best.rate() ||
                             (step.rate() == best.rate() && step.cost > best.cost);
      if (is_better) best = step;
    }
    if (best.cost == 0) return steps;
    steps.push_back(best);
    at = best.to;
  }
}

/// All steps, those that save most for a unit of cost first: a falling price takes them in this order.
std::vector<Step> all_hull_steps(const std::vector<Options>& choices) {
  std::vector<Step> steps;
  for (size_t choice = 0; choice < choices.size(); ++choice) {
    const std::vector<Step> own = hull_steps(choices[choice], choice);
    steps.insert(steps.end(), own.begin(), own.end());
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const Step& a, const Step& b) { return a.rate() > b.rate(); });
  return steps;
}

/// The step from the options chosen that fits into what is left and saves most for a unit; cost 0: none.
Step best_fitting(const std::vector<Options>& choices, const std::vector<size_t>& chosen, int64_t left) {
  Step best{};
  for (size_t choice = 0; choice < choices.size(); ++choice) {
    for (size_t to = 0; to < choices[choice].size(); ++to) {
      const Step step = step_between(choices[choice], choice, chosen[choice], to);
      if (step.cost <= 0 || step.cost > left || step.saved <= 0) continue;
      if (best.cost == 0 || step.rate() > best.rate()) best = step;
    }
  }
  return best;
}

}  // namespace

std::vector<size_t> fill_knapsack(const std::vector<Options>& choices, int64_t budget) {
  std::vector<size_t> chosen;
  int64_t left = budget;
  for (const Options& options : choices) {
    chosen.push_back(cheapest(options));
    left -= options[chosen.back()].cost;
  }
  ADA_ASSERT(left >= 0, "the cheapest options do not fit");
  for (const Step& step : all_hull_steps(choices)) {
    if (step.cost > left) break;
    chosen[step.choice] = step.to;
    left -= step.cost;
  }
  for (Step step = best_fitting(choices, chosen, left); step.cost > 0;
       step = best_fitting(choices, chosen, left)) {
    chosen[step.choice] = step.to;
    left -= step.cost;
  }
  return chosen;
}

}  // namespace adascale
