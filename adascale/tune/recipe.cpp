#include "adascale/tune/recipe.h"

#include <fmt/ranges.h>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/core/words.h"

namespace adascale {

namespace {

Recipe fast() {
  return {.name = "fast",
          .description = "weighted clip search, then signed steps in codes on a loss normalised per token",
          .start = StartRange::kWeighted,
          .loss = LossKind::kPerToken,
          .update = UpdateRule::kSigned,
          .scale_rate = 0.128,
          .rounding_rate = 1,
          .takes_bfloat16 = true,
          .shortens_steps = true,
          .iterations = 200};
}

Recipe best() {
  Recipe recipe = fast();
  recipe.name = "best";
  recipe.description = "fast, then the scales on the model's own output, kept where held-out samples agree";
  recipe.last_stage_rate = 2e-3;
  return recipe;
}

}  // namespace

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> table = {
      fast(),
      best(),
      {.name = "aimet",
       .description = "AIMET 2.42's: Adam, cosine decay, squared error, half of each input from the FP model",
       .update = UpdateRule::kAdam,
       .scale_rate = 1e-3,
       .rounding_rate = 5e-4,
       .fp_input_share = 0.5,
       .takes_signed_scales = false,
       .iterations = 1500},
      {.name = "clip",
       .description = "the weighted clip search alone, nothing trained",
       .start = StartRange::kWeighted,
       .loss = LossKind::kPerToken},
      {.name = "rtn",
       .description = "round-to-nearest in the scheme's ranges, nothing trained",
       .loss = LossKind::kPerToken},
  };
  return table;
}

const Recipe& recipe_named(const std::string& name) {
  std::vector<std::string> known;
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return recipe;
    known.push_back(recipe.name);
  }
  fail("{}: got '{}', expected one of {}{}", option("recipe"), name, fmt::join(known, ", "),
       did_you_mean(name, known));
}

}  // namespace adascale
