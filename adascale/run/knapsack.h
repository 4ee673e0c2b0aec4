#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace adascale {

/// One option of a choice: what it costs, and what is lost by it.
struct KnapsackOption {
  int64_t cost = 0;
  double loss = 0;
};

/// One option for each choice, by its place among the choice's, so that the sum of losses is small and the sum of costs
/// at most `budget`. The cheapest options must fit.
///
/// Lagrange's relaxation: for each price of a unit of cost every choice takes the option of least loss + price * cost,
/// and the price falls until the budget is full. What is left then goes to the options that save most for a unit, so that
/// the sum is above the least one by less than one step of one choice. The same for the same input.
std::vector<size_t> fill_knapsack(const std::vector<std::vector<KnapsackOption>>& choices, int64_t budget);

}  // namespace adascale
