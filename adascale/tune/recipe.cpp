#include "adascale/tune/recipe.h"

#include "adascale/core/error.h"

namespace adascale {

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> table = {
      {.name = "aimet",
       .description = "AIMET 2.42's: Adam, cosine decay, squared error, half of each input from the FP model",
       .scale_lr = 1e-3,
       .rounding_lr = 5e-4,
       .fp_input_share = 0.5,
       .iterations = 1500},
  };
  return table;
}

const Recipe& recipe_named(const std::string& name) {
  std::string known;
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return recipe;
    known += (known.empty() ? "" : ", ") + recipe.name;
  }
  fail("recipe: got '{}', expected one of {}", name, known);
}

}  // namespace adascale
