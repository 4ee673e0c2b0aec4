#include "adascale/run/stored_quantizers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "adascale/graph/program_editor.h"
#include "adascale/run/text.h"

namespace adascale {
namespace {

const std::string kTopGraph = "/graph_module/graph";  // nested ones cannot be edited

/// A number written in the graph; none: the graph computes it.
std::optional<double> number_in(const Node& node, const char* operand) {
  const Argument* argument = node.input(operand);
  if (argument == nullptr || argument->kind != Argument::Kind::kLiteral) return std::nullopt;
  const c10::IValue& literal = argument->literal;
  if (literal.isDouble()) return literal.toDouble();
  return literal.isInt() ? std::optional(static_cast<double>(literal.toInt())) : std::nullopt;
}

std::string module_of(const Program& program, ValueId value) {
  const NodeId producer = program.values[value].producer;
  if (producer == kNone || program.nodes[producer].call == kNone) return "";
  return program.calls[program.nodes[producer].call].label();
}

/// By value: whether a user input bears on it. A weight's does not.
std::vector<bool> made_of_data(const Program& program) {
  std::vector<bool> found(program.values.size());
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone) found[input->value] = true;
  for (const Node& node : program.nodes) {
    const std::vector<ValueId> reads = node.reads();
    if (std::none_of(reads.begin(), reads.end(), [&](ValueId value) { return found[value]; })) continue;
    for (const ValueId value : node.writes()) found[value] = true;
  }
  return found;
}

std::optional<StoredQuantizer> quantizer_of(const Program& program, const Node& node,
                                            const std::vector<bool>& is_activation) {
  if (node.op() != "aten::fake_quantize_per_tensor_affine" || node.graph_path != kTopGraph)
    return std::nullopt;
  const auto scale = number_in(node, "scale"), zero = number_in(node, "zero_point");
  const auto low = number_in(node, "quant_min"), high = number_in(node, "quant_max");
  if (!scale || !zero || !low || !high) return std::nullopt;
  const ValueId value = node.input("self")->value;
  if (!is_activation[value]) return std::nullopt;
  return StoredQuantizer{.value = program.values[value].name,
                         .module = module_of(program, value),
                         .bits = static_cast<int>(std::lround(std::log2(*high - *low + 1))),
                         .scale = *scale,
                         .min = *scale * (*low - *zero),
                         .max = *scale * (*high - *zero)};
}

}  // namespace

std::vector<StoredQuantizer> take_out_quantizers(Program& program) {
  const std::vector<bool> is_activation = made_of_data(program);
  std::vector<StoredQuantizer> quantizers;
  std::vector<NodeId> found;
  for (size_t id = 0; id < program.nodes.size(); ++id)
    if (auto quantizer = quantizer_of(program, program.nodes[id], is_activation)) {
      quantizers.push_back(*std::move(quantizer));
      found.push_back(static_cast<NodeId>(id));
    }
  if (found.empty()) return quantizers;
  ProgramEditor editor(program);
  for (const NodeId id : found) {
    const Node& node = program.nodes[id];
    editor.bypass(id, node.outputs[0].values[0], node.input("self")->value);
  }
  editor.finish();
  return quantizers;
}

std::string describe(const std::vector<StoredQuantizer>& quantizers) {
  std::vector<Row> rows = {{"value", "made by", "bits", "scale", "least", "largest"}};
  for (const StoredQuantizer& one : quantizers)
    rows.push_back({one.value, one.module, std::to_string(one.bits), fmt::format("{:.4g}", one.scale),
                    fmt::format("{:.4g}", one.min), fmt::format("{:.4g}", one.max)});
  return format_table(rows);
}

}  // namespace adascale
