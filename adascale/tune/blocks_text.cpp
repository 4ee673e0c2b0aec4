#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/tune/blocks.h"

namespace adascale {
namespace {

std::string describe_value(const Value& value) {
  std::vector<std::string> sizes;
  for (const Dim& dim : value.sizes) sizes.push_back(dim.is_fixed() ? std::to_string(dim.size) : dim.symbol);
  return fmt::format("{}[{}]", value.name, fmt::join(sizes, ", "));
}

std::string describe_values(const Program& program, const std::vector<ValueId>& values) {
  std::vector<std::string> texts;
  for (ValueId value : values) texts.push_back(describe_value(program.values[value]));
  return texts.empty() ? "(none)" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string describe_call(const ModuleCall& call, size_t layers) {
  // rfind's npos + 1 is 0: a type without a module is shown whole.
  return fmt::format("{}  {}  {} layer{}", call.label(), call.type.substr(call.type.rfind('.') + 1), layers,
                     layers == 1 ? "" : "s");
}

/// The number of `nodes` in each call, calls inside it included.
std::vector<size_t> count_by_call(const Program& program, const std::vector<NodeId>& nodes) {
  std::vector<size_t> counts(program.calls.size());
  for (NodeId node : nodes) {
    for (CallId call = program.nodes[node].call; call != kNone; call = program.calls[call].parent)
      ++counts[call];
  }
  return counts;
}

struct CallText {
  bool is_block;
  std::string text;
};

}  // namespace

std::string describe_block(const Program& program, const Block& block) {
  std::string text = describe_call(program.calls[block.call], block.layers.size());
  text += " | in " + describe_values(program, block.activations_in);
  text += " | out " + describe_values(program, block.activations_out);
  if (!block.side_in.empty()) text += " | side in " + describe_values(program, block.side_in);
  if (!block.side_out.empty()) text += " | side out " + describe_values(program, block.side_out);
  return text;
}

namespace {

std::vector<CallText> texts_of_calls(const Program& program, const std::vector<Block>& blocks) {
  std::vector<const Block*> block_of(program.calls.size());
  for (const Block& block : blocks) block_of[block.call] = &block;
  const std::vector<size_t> layers = count_by_call(program, layers_outside(program, {}));
  std::vector<bool> is_inside(program.calls.size());  // strictly inside a block
  std::vector<CallText> texts;
  for (CallId id = 0; id < static_cast<CallId>(program.calls.size()); ++id) {
    const ModuleCall& call = program.calls[id];
    is_inside[id] = call.parent != kNone && (is_inside[call.parent] || block_of[call.parent] != nullptr);
    if (is_inside[id] || (layers[id] == 0 && call.parent != kNone)) continue;
    const Block* block = block_of[id];
    texts.push_back(
        {block != nullptr, block ? describe_block(program, *block) : describe_call(call, layers[id])});
  }
  return texts;
}

}  // namespace

std::string describe_calls(const Program& program, const std::vector<Block>& blocks) {
  std::string text;
  for (const auto& [is_block, call] : texts_of_calls(program, blocks))
    text += fmt::format("{} {}\n", is_block ? '*' : ' ', call);
  return text;
}

std::vector<std::string> list_calls(const Program& program) {
  std::vector<std::string> calls;
  for (CallText& call : texts_of_calls(program, {})) calls.push_back(std::move(call.text));
  return calls;
}

}  // namespace adascale
