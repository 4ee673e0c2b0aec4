#include "adascale/run/knapsack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace adascale {
namespace {

using Choices = std::vector<std::vector<KnapsackOption>>;

struct Sum {
  int64_t cost = 0;
  double loss = 0;
};

Sum sum_of(const Choices& choices, const std::vector<size_t>& chosen) {
  Sum sum;
  for (size_t i = 0; i < choices.size(); ++i) {
    sum.cost += choices[i][chosen[i]].cost;
    sum.loss += choices[i][chosen[i]].loss;
  }
  return sum;
}

/// The least loss of all that fits, by trying all.
double least_loss(const Choices& choices, int64_t budget) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<size_t> chosen(choices.size());
  while (true) {
    const Sum sum = sum_of(choices, chosen);
    if (sum.cost <= budget) least = std::min(least, sum.loss);
    size_t i = 0;
    while (i < chosen.size() && ++chosen[i] == choices[i].size()) chosen[i++] = 0;
    if (i == chosen.size()) return least;
  }
}

/// Bits of layers of different sizes and sensitivities: a bit more costs as much as the last and saves a fourth of it.
Choices layers(std::mt19937& random, size_t count) {
  std::uniform_real_distribution<double> exponent(0, 3), noise(0.7, 1.4);
  std::uniform_int_distribution<int64_t> size(1, 9);
  Choices choices(count);
  for (auto& options : choices) {
    const int64_t weights = size(random);
    const double sensitivity = std::pow(10, exponent(random)) * static_cast<double>(weights);
    for (const int bits : {2, 3, 4, 6})
      options.push_back({weights * bits, sensitivity * std::pow(4.0, -bits) * noise(random)});
  }
  return choices;
}

TEST(Knapsack, IsWithinAStepOfTheBestOfAll) {
  std::mt19937 random(1);
  int exact = 0, all = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const Choices choices = layers(random, 6);
    int64_t least = 0, most = 0;
    double step = 0;
    for (const auto& options : choices) {
      least += options.front().cost, most += options.back().cost;
      for (size_t i = 1; i < options.size(); ++i)
        step = std::max(step, options[i - 1].loss - options[i].loss);
    }
    for (int64_t budget = least; budget <= most; budget += 3) {
      const Sum found = sum_of(choices, fill_knapsack(choices, budget));
      const double best = least_loss(choices, budget);
      ASSERT_LE(found.cost, budget);
      EXPECT_LE(found.loss, best + step);
      exact += found.loss <= best * (1 + 1e-9) ? 1 : 0, ++all;
    }
  }
  EXPECT_GT(exact, all / 3) << "of " << all;
}

/// A budget that a price fills exactly leaves nothing to guess: these are the best of all.
TEST(Knapsack, FillsAHullBudgetExactly) {
  const Choices choices = {{{2, 16}, {3, 4}, {4, 1}}, {{4, 8}, {6, 2}, {8, 0.5}}};
  for (const int64_t budget : {6, 7, 8, 10, 12}) {
    const Sum found = sum_of(choices, fill_knapsack(choices, budget));
    EXPECT_EQ(found.cost, budget);
    EXPECT_EQ(found.loss, least_loss(choices, budget)) << budget;
  }
}

/// An option that no price takes, above the line between its neighbours, may still fill the rest.
TEST(Knapsack, WhatIsLeftGoesToTheBestThatFits) {
  EXPECT_EQ(fill_knapsack({{{1, 10}, {2, 9}, {4, 0}}}, 3), std::vector<size_t>{1});
  EXPECT_EQ(fill_knapsack({{{1, 10}, {2, 9}, {4, 0}}}, 4), std::vector<size_t>{2});
}

TEST(Knapsack, NeverPaysForMoreLoss) {
  EXPECT_EQ(fill_knapsack({{{1, 5}, {2, 7}, {3, 6}}}, 100), std::vector<size_t>{0});
  EXPECT_EQ(fill_knapsack({{{4, 0}}, {{1, 0}, {2, 0}}}, 100), (std::vector<size_t>{0, 0}));
}

}  // namespace
}  // namespace adascale
