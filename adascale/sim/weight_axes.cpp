#include "adascale/sim/weight_axes.h"

#include <algorithm>
#include <string>

namespace adascale {
namespace {

/// By axis of the operand.
enum class Meaning { kStack, kChannel, kInput, kKernel };
using Meanings = std::vector<Meaning>;

/// The kind's two axes; axes before both are a stack's, axes behind them a kernel's.
Meanings by_kind(const LayerKind& kind, size_t rank) {
  const auto axis = [rank](int64_t of_kind) {
    return of_kind < 0 ? static_cast<int64_t>(rank) + of_kind : of_kind;
  };
  const int64_t channel = axis(kind.channel_axis), input = axis(kind.input_axis);
  if (std::min(channel, input) < 0 || std::max(channel, input) >= static_cast<int64_t>(rank)) return {};
  Meanings meanings(rank, Meaning::kKernel);
  for (int64_t i = 0; i < std::min(channel, input); ++i) meanings[i] = Meaning::kStack;
  meanings[channel] = Meaning::kChannel;
  meanings[input] = Meaning::kInput;
  return meanings;
}

std::string without_spaces(std::string text) {
  std::erase(text, ' ');
  return text;
}

/// "bsd,dhk->bshk": the weight's letters that are missing in the result are its inputs, the last of
/// the others its channels. Nothing for "...", repeated letters or a missing result.
Meanings by_equation(const std::string& equation, size_t position, size_t rank) {
  const size_t arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos) return {};
  std::string operands = equation.substr(0, arrow);
  const std::string result = equation.substr(arrow + 2);
  for (size_t i = 0; i < position; ++i) {
    if (operands.find(',') == std::string::npos) return {};
    operands = operands.substr(operands.find(',') + 1);
  }
  const std::string letters = operands.substr(0, operands.find(','));
  if (letters.size() != rank) return {};
  Meanings meanings;
  for (const char letter : letters) {
    if (std::count(letters.begin(), letters.end(), letter) != 1) return {};
    meanings.push_back(result.find(letter) == std::string::npos ? Meaning::kInput : Meaning::kStack);
  }
  const auto last = std::find(meanings.rbegin(), meanings.rend(), Meaning::kStack);
  if (last != meanings.rend()) *last = Meaning::kChannel;
  return meanings;
}

Meanings meanings_of(const Node& node, const LayerKind& kind, size_t position, size_t rank) {
  if (kind.equation.empty()) return by_kind(kind, rank);
  const Argument* equation = node.input(kind.equation);
  if (equation == nullptr || !equation->literal.isString()) return {};
  return by_equation(without_spaces(equation->literal.toStringRef()), position, rank);
}

void add_all(std::vector<int64_t>& to, const std::vector<int64_t>& axes) {
  for (const int64_t axis : axes)
    if (std::find(to.begin(), to.end(), axis) == to.end()) to.push_back(axis);
}

}  // namespace

std::optional<WeightAxes> weight_axes(const Node& node, const LayerKind& kind, size_t position,
                                      const WeightSource& source) {
  const Meanings meanings = meanings_of(node, kind, position, source.axes.size());
  if (meanings.empty()) return std::nullopt;
  WeightAxes axes;
  std::vector<int64_t> channels;
  for (size_t i = 0; i < meanings.size(); ++i) {
    if (meanings[i] == Meaning::kStack) add_all(axes.stack, source.axes[i]);
    if (meanings[i] == Meaning::kChannel) add_all(channels, source.axes[i]);
    if (meanings[i] == Meaning::kInput) add_all(axes.inputs, source.axes[i]);
  }
  if (channels.empty() || axes.inputs.empty()) return std::nullopt;
  axes.channel = channels.back();
  channels.pop_back();
  add_all(axes.stack, channels);
  std::erase(axes.stack, axes.channel);
  std::sort(axes.stack.begin(), axes.stack.end());
  const auto has_scales = [&](int64_t axis) {
    return axis == axes.channel || std::find(axes.stack.begin(), axes.stack.end(), axis) != axes.stack.end();
  };
  if (std::any_of(axes.inputs.begin(), axes.inputs.end(), has_scales)) return std::nullopt;
  return axes;
}

}  // namespace adascale
