#include "adascale/sim/weight_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>

namespace adascale {
namespace {

using Axes = std::vector<std::vector<int64_t>>;

/// A node, and the sizes of its operand and its result; for symbolic ones the example's.
struct ViewStep {
  const Node& node;
  std::vector<int64_t> from, to;

  int64_t rank() const { return static_cast<int64_t>(from.size()); }
  int64_t wrapped(int64_t dim) const { return dim < 0 ? dim + rank() : dim; }
  std::optional<int64_t> integer(const char* name, std::optional<int64_t> otherwise = std::nullopt) const {
    const Argument* given = node.input(name);
    if (given == nullptr) return otherwise;
    return given->kind == Argument::Kind::kLiteral && given->literal.isInt()
               ? std::optional(given->literal.toInt())
               : std::nullopt;
  }
};

/// Nothing when the step cannot be followed.
using Follow = std::optional<Axes> (*)(const ViewStep&, const Axes&);

std::optional<Axes> same(const ViewStep&, const Axes& axes) {
  return axes;
}

std::optional<Axes> reversed(const ViewStep&, const Axes& axes) {
  return Axes(axes.rbegin(), axes.rend());
}

std::optional<Axes> last_two_swapped(const ViewStep& step, Axes axes) {
  if (step.rank() < 2) return std::nullopt;
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return axes;
}

std::optional<Axes> swapped(const ViewStep& step, const Axes& axes) {
  const auto a = step.integer("dim0"), b = step.integer("dim1");
  if (!a || !b) return std::nullopt;
  Axes found = axes;
  std::swap(found[step.wrapped(*a)], found[step.wrapped(*b)]);
  return found;
}

std::optional<Axes> permuted(const ViewStep& step, const Axes& axes) {
  const Argument* dims = step.node.input("dims");
  if (dims == nullptr || dims->kind != Argument::Kind::kLiteral || !dims->literal.isIntList())
    return std::nullopt;
  Axes found;
  for (const int64_t dim : dims->literal.toIntVector()) found.push_back(axes[step.wrapped(dim)]);
  return found;
}

std::optional<Axes> selected(const ViewStep& step, const Axes& axes) {
  const auto dim = step.integer("dim", 0);
  if (!dim) return std::nullopt;
  Axes found = axes;
  found.erase(found.begin() + step.wrapped(*dim));
  return found;
}

/// weight[ids]: one index along one axis, which the index's axes replace.
std::optional<Axes> indexed(const ViewStep& step, const Axes& axes) {
  const Argument* indices = step.node.input("indices");
  if (indices == nullptr || indices->kind != Argument::Kind::kList) return std::nullopt;
  const auto is_given = [](const Argument& item) { return item.kind == Argument::Kind::kValue; };
  const auto& items = indices->items;
  if (std::count_if(items.begin(), items.end(), is_given) != 1) return std::nullopt;
  const auto at = std::find_if(items.begin(), items.end(), is_given) - items.begin();
  const auto more = static_cast<int64_t>(step.to.size() + 1 - step.from.size());  // axes of the index
  Axes found = axes;
  const std::vector<int64_t> axis = found[at];
  found.erase(found.begin() + at);
  found.insert(found.begin() + at, more, axis);
  return found;
}

std::optional<Axes> expanded(const ViewStep& step, const Axes& axes) {
  Axes found(step.to.size() - step.from.size());
  found.insert(found.end(), axes.begin(), axes.end());
  return found;
}

std::optional<Axes> unsqueezed(const ViewStep& step, const Axes& axes) {
  const auto dim = step.integer("dim");
  if (!dim) return std::nullopt;
  Axes found = axes;
  found.insert(found.begin() + (*dim < 0 ? *dim + step.rank() + 1 : *dim), std::vector<int64_t>());
  return found;
}

/// Matches runs of axes with equal products on both sides.
std::optional<Axes> reshaped(const ViewStep& step, const Axes& axes) {
  Axes found;
  size_t from = 0;
  std::vector<int64_t> pending;
  int64_t read = 1, written = 1;
  for (const int64_t size : step.to) {
    if (size == 1) {
      found.emplace_back();
      continue;
    }
    written *= size;
    while (read < written && from < step.from.size()) {
      if (step.from[from] != 1) pending.insert(pending.end(), axes[from].begin(), axes[from].end());
      read *= step.from[from++];
    }
    if (read % written != 0) return std::nullopt;
    found.push_back(pending);
    if (read == written) pending.clear(), read = written = 1;
  }
  return found;
}

const std::map<std::string, Follow>& steps() {
  static const std::map<std::string, Follow> table = {
      {"aten::to", same},
      {"aten::_to_copy", same},
      {"aten::contiguous", same},
      {"aten::clone", same},
      {"aten::detach", same},
      {"aten::alias", same},
      {"aten::slice", same},
      {"aten::narrow", same},
      {"aten::index_select", same},
      {"aten::chunk", same},
      {"aten::split", same},
      {"aten::split_with_sizes", same},
      {"aten::t", reversed},
      {"aten::numpy_T", reversed},
      {"aten::mT", [](const ViewStep& s, const Axes& a) { return last_two_swapped(s, a); }},
      {"aten::transpose", swapped},
      {"aten::permute", permuted},
      {"aten::select", selected},
      {"aten::unbind", selected},
      {"aten::index", indexed},
      {"aten::expand", expanded},
      {"aten::view", reshaped},
      {"aten::reshape", reshaped},
      {"aten::flatten", reshaped},
      {"aten::unflatten", reshaped},
      {"aten::squeeze", reshaped},
      {"aten::unsqueeze", unsqueezed},
  };
  return table;
}

/// The values from a parameter to `value`; empty when it does not come from one.
std::vector<ValueId> way_from_parameter(const Program& program, ValueId value) {
  std::vector<ValueId> way{value};
  while (!program.is_parameter(way.back())) {
    const NodeId producer = program.values[way.back()].producer;
    if (producer == kNone) return {};
    const Node& node = program.nodes[producer];
    if (!steps().contains(node.op()) || node.reads().empty()) return {};
    way.push_back(node.reads().front());
  }
  std::reverse(way.begin(), way.end());
  return way;
}

std::vector<int64_t> sizes_of(const Value& value) {
  std::vector<int64_t> sizes;
  for (const Dim& dim : value.sizes) sizes.push_back(dim.size);
  return sizes;
}

}  // namespace

WeightSource weight_source(const Program& program, ValueId value) {
  const std::vector<ValueId> way = way_from_parameter(program, value);
  if (way.empty()) return {};
  WeightSource source{.parameter = way.front()};
  const std::string& name = program.input_of(source.parameter)->name;
  for (size_t axis = 0; axis < program.values[way.front()].sizes.size(); ++axis)
    source.axes.push_back({static_cast<int64_t>(axis)});
  for (size_t i = 1; i < way.size() && source.obstacle.empty(); ++i) {
    const NodeId node = program.values[way[i]].producer;
    const ViewStep step{program.nodes[node], sizes_of(program.values[way[i - 1]]),
                        sizes_of(program.values[way[i]])};
    const auto axes = steps().at(step.node.op())(step, source.axes);
    if (!axes) source.obstacle = fmt::format("its weight is computed from {} by {}", name, step.node.op());
    source.axes = axes.value_or(Axes());
    source.views.push_back(node);
  }
  return source;
}

std::vector<ValueId> parameters_behind(const Program& program) {
  std::vector<ValueId> behind(program.values.size(), kNone);
  std::vector<bool> is_fed(program.values.size());
  for (ValueId value = 0; value < static_cast<ValueId>(behind.size()); ++value) {
    if (program.values[value].producer != kNone) continue;
    if (program.is_parameter(value)) behind[value] = value;
    is_fed[value] = program.is_user_input(value);
  }
  for (const Node& node : program.nodes) {
    ValueId parameter = kNone;
    bool fed = false;
    for (const ValueId read : node.reads()) {
      fed = fed || is_fed[read];
      if (parameter == kNone) parameter = behind[read];
    }
    for (const ValueId written : node.writes())
      is_fed[written] = fed, behind[written] = fed ? kNone : parameter;
  }
  return behind;
}

}  // namespace adascale
