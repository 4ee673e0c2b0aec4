#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// How a block is trained. One row a recipe; the command, the docs and the tests walk the table.
struct Recipe {
  std::string name;
  std::string description;
  double scale_lr;        ///< Adam's rate of beta and gamma
  double rounding_lr;     ///< of s2, s3, s4
  double fp_input_share;  ///< probability that an element of the input comes from the FP model, redrawn each
                          ///< iteration
  int64_t iterations;     ///< the budget when neither epochs nor iterations are given to the command
};

const std::vector<Recipe>& recipes();
/// Throws (user) listing the known names.
const Recipe& recipe_named(const std::string& name);

}  // namespace adascale
