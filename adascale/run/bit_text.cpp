#include "adascale/run/bit_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <climits>
#include <map>
#include <nlohmann/json.hpp>

namespace adascale {
namespace {

constexpr char kIndent[] = "          ";

/// "12 layers at 2 bits, 80 at 3"
std::string widths(const BitChoice& choice) {
  std::map<int, size_t> layers;
  size_t fixed = 0;
  for (const BitChoice::Part& part : choice.parts)
    (part.is_fixed ? fixed : layers[part.width]) += part.layers.size();
  std::vector<std::string> counts;
  for (const auto& [width, count] : layers)
    counts.push_back(counts.empty()
                         ? fmt::format("{} {} at {} bits", count, count == 1 ? "layer" : "layers", width)
                         : fmt::format("{} at {}", count, width));
  if (fixed > 0) counts.push_back(fmt::format("{} fixed", fixed));
  return fmt::format("{}", fmt::join(counts, ", "));
}

/// "; 4 bits for all: 0.40 at 4.03 bits"; of a dry run "; 4 bits for all would be 4.03 bits a weight".
std::string for_all(const BitChoice& choice) {
  std::string text;
  for (const BitChoice::Uniform& one : choice.uniform)
    text += choice.is_provisional ? fmt::format("; {} bits for all would be {:.2f} bits a weight", one.width,
                                                choice.bits_of(one.bytes))
                                  : fmt::format("; {} bits for all: {:.3g} at {:.2f} bits", one.width,
                                                one.loss, choice.bits_of(one.bytes));
  return text;
}

/// "KL 0.26 expected of rounding alone"
std::string expected(const BitChoice& choice) {
  const bool any_fixed = std::any_of(choice.parts.begin(), choice.parts.end(),
                                     [](const BitChoice::Part& part) { return part.is_fixed; });
  return fmt::format("{} {:.3g} expected of rounding alone{}",
                     choice.is_divergence ? "KL" : "relative error of the output", choice.loss,
                     any_fixed ? " without what is fixed" : "");
}

/// "6 bits: model.layers.0.mlp.down_proj, ... 5 layers"
std::string some_of(const BitChoice& choice, int width) {
  std::vector<std::string> layers;
  for (const BitChoice::Part& part : choice.parts)
    if (!part.is_fixed && part.width == width)
      layers.insert(layers.end(), part.layers.begin(), part.layers.end());
  constexpr size_t kShown = 2;
  const size_t shown = std::min(layers.size(), kShown);
  std::string text =
      fmt::format("{} bits: {}", width, fmt::join(layers.begin(), layers.begin() + shown, ", "));
  if (layers.size() > shown) text += fmt::format(", ... {} layers", layers.size());
  return text;
}

/// The most and the fewest bits that were chosen.
std::pair<int, int> ends(const BitChoice& choice) {
  int most = 0, fewest = INT_MAX;
  for (const BitChoice::Part& part : choice.parts) {
    if (part.is_fixed) continue;
    most = std::max(most, part.width), fewest = std::min(fewest, part.width);
  }
  return {most, fewest};
}

}  // namespace

std::string describe_bits(const BitChoice& choice) {
  std::string text = fmt::format("mean {:.3f} of at most {:.3f}: {}\n", choice.mean_bits(),
                                 choice.bits_of(choice.budget), widths(choice));
  if (choice.is_provisional)
    return text + kIndent +
           fmt::format(
               "as if all weights were equally sensitive: a run reads them, and chooses by the model's "
               "output{}\n",
               for_all(choice));
  text += fmt::format("{}{}{}\n", kIndent, expected(choice), for_all(choice));
  const auto [most, fewest] = ends(choice);
  text += fmt::format("{}{}\n", kIndent, some_of(choice, most));
  if (fewest < most) text += fmt::format("{}{}\n", kIndent, some_of(choice, fewest));
  return text;
}

std::string bits_json(const BitChoice& choice) {
  nlohmann::ordered_json uniform = nlohmann::ordered_json::array(), parts = uniform;
  for (const BitChoice::Uniform& one : choice.uniform)
    uniform.push_back(
        {{"bits", one.width}, {"mean_bits", choice.bits_of(one.bytes)}, {"expected", one.loss}});
  for (const BitChoice::Part& part : choice.parts)
    parts.push_back(
        {{"layers", part.layers},
         {"bits", part.width},
         {"fixed", part.is_fixed},
         {"expected", part.is_fixed ? nlohmann::ordered_json() : nlohmann::ordered_json(part.loss)}});
  const nlohmann::ordered_json all = {{"mean_bits", choice.mean_bits()},
                                      {"most_bits", choice.bits_of(choice.budget)},
                                      {"measure", choice.is_divergence ? "divergence" : "relative_error"},
                                      {"expected", choice.loss},
                                      {"uniform", uniform},
                                      {"choices", parts}};
  return all.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace adascale
