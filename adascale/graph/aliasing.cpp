#include "adascale/graph/aliasing.h"

#include <algorithm>
#include <set>

#include "adascale/graph/operators.h"

namespace adascale {
namespace {

using AliasSet = std::unordered_set<c10::Symbol>;

/// The alias sets of an argument, of its elements when it is a list.
AliasSet alias_set(const c10::Argument& argument) {
  AliasSet symbols;
  const c10::AliasInfo* info = argument.alias_info();
  if (!info) return symbols;
  symbols.insert(info->beforeSets().begin(), info->beforeSets().end());
  for (const c10::AliasInfo& element : info->containedTypes()) {
    symbols.insert(element.beforeSets().begin(), element.beforeSets().end());
  }
  return symbols;
}

bool is_written(const c10::Argument& argument) {
  const c10::AliasInfo* info = argument.alias_info();
  if (!info) return false;
  const auto& elements = info->containedTypes();
  return info->isWrite() ||
         std::any_of(elements.begin(), elements.end(), [](const auto& e) { return e.isWrite(); });
}

bool intersects(const AliasSet& a, const AliasSet& b) {
  return std::any_of(a.begin(), a.end(), [&](c10::Symbol symbol) { return b.count(symbol) > 0; });
}

/// Operators that may return their first operand, or views of it, although their schemas do not say so.
bool returns_operand_silently(const std::string& op) {
  static const std::set<std::string> ops = {
      "aten::dropout",           "aten::feature_dropout",
      "aten::alpha_dropout",     "aten::feature_alpha_dropout",
      "aten::type_as",           "aten::_unsafe_view",
      "aten::unsafe_split",      "aten::unsafe_split_with_sizes",
      "aten::unsafe_chunk",      "aten::einsum",
      "aten::broadcast_tensors", "aten::meshgrid",
      "aten::atleast_1d",        "aten::atleast_2d",
      "aten::atleast_3d",
  };
  return ops.count(op) > 0;
}

AliasRule read_rule(const Node& node) {
  AliasRule rule;
  const auto handle = find_operator(node.target);
  if (!handle) return rule;
  const c10::FunctionSchema& schema = handle->schema();
  for (const c10::Argument& argument : schema.arguments()) {
    if (is_written(argument)) rule.overwritten.push_back(argument.name());
    const AliasSet symbols = alias_set(argument);
    for (size_t result = 0; result < schema.returns().size(); ++result) {
      if (intersects(symbols, alias_set(schema.returns()[result])))
        rule.shared.emplace_back(result, argument.name());
    }
  }
  if (returns_operand_silently(node.op())) {
    const bool is_einsum = node.op() == "aten::einsum";
    rule.shared.emplace_back(0, is_einsum ? "tensors" : schema.arguments()[0].name());
  }
  return rule;
}

void append_values(const Argument& argument, std::vector<ValueId>& ids) {
  if (argument.kind == Argument::Kind::kValue) ids.push_back(argument.value);
  for (const Argument& item : argument.items) append_values(item, ids);
}

}  // namespace

const AliasRule& AliasRules::of(const Node& node) {
  const auto found = rules_.find(node.target);
  return found != rules_.end() ? found->second : rules_.emplace(node.target, read_rule(node)).first->second;
}

std::vector<ValueId> AliasRules::overwritten(const Node& node) {
  std::vector<ValueId> ids;
  for (const std::string& name : of(node).overwritten) {
    if (const Argument* operand = node.input(name)) append_values(*operand, ids);
  }
  return ids;
}

std::vector<ValueId> values_in(const Argument& argument) {
  std::vector<ValueId> ids;
  append_values(argument, ids);
  return ids;
}

}  // namespace adascale
