#include "adascale/io/node_inserter.h"

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/graph/document_names.h"
#include "adascale/graph/operators.h"

namespace adascale {
namespace {

using nlohmann::json;

constexpr int kPositional = 1, kKeyword = 2;  // torch/_export/serde/schema.py, class ArgumentKind

json float_argument(double number) {
  if (std::isfinite(number)) return {{"as_float", number}};
  return {{"as_float", std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity"}};
}

json literal_argument(const c10::IValue& value) {
  if (value.isBool()) return {{"as_bool", value.toBool()}};
  if (value.isInt()) return {{"as_int", value.toInt()}};
  ADA_ASSERT(value.isDouble(), "an inserted node takes int, bool and float literals");
  return float_argument(value.toDouble());
}

/// "torch.ops.aten.add.Scalar" -> "add".
std::string base_name(const std::string& target) {
  const size_t overload = target.rfind('.'), name = target.rfind('.', overload - 1);
  return target.substr(name + 1, overload - name - 1);
}

}  // namespace

NodeInserter::NodeInserter(const Program& program)
    : program_(program), document_(*program.document), names_(names_in(document_.at("graph_module"))) {}

void NodeInserter::insert(const std::vector<InsertedNode>& nodes) {
  // Last first, so that an insertion never moves a node that a later one refers to by position.
  std::vector<const InsertedNode*> order;
  for (const InsertedNode& node : nodes) order.insert(order.begin(), &node);
  const auto producer = [&](const InsertedNode* node) { return program_.values[node->value].producer; };
  std::stable_sort(order.begin(), order.end(),
                   [&](const auto* a, const auto* b) { return producer(a) > producer(b); });
  for (const InsertedNode* node : order) insert(*node);
}

void NodeInserter::insert(const InsertedNode& node) {
  const Place place = place_of(node.value);
  const std::string result = fresh_name(base_name(node.target), names_);
  json& graph = document_[place.graph];
  json& nodes = graph.at("nodes");
  rename_readers(graph, place.position, place.name, result);
  const bool is_top =
      program_.values[node.value].producer == kNone ||
      program_.nodes[program_.values[node.value].producer].graph_path == "/graph_module/graph";
  if (is_top) rename_in_signature(document_.at("graph_module"), place.name, result);
  nodes.insert(nodes.begin() + static_cast<int64_t>(place.position), describe(node, place.name, result));
  graph.at("tensor_values")[result] = json(graph.at("tensor_values").at(place.name));
}

NodeInserter::Place NodeInserter::place_of(ValueId value) const {
  const NodeId producer = program_.values[value].producer;
  if (producer == kNone) return {json::json_pointer("/graph_module/graph"), 0, program_.values[value].name};
  const Node& node = program_.nodes[producer];
  const json::json_pointer graph(node.graph_path);
  const json& outputs = document_.at(graph).at("nodes").at(node.position).at("outputs");
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const auto& values = node.outputs[i].values;
    const auto found = std::find(values.begin(), values.end(), value);
    if (found == values.end()) continue;
    const json& written = outputs.at(i);
    const json& tensor = node.outputs[i].is_list ? written.at("as_tensors").at(found - values.begin())
                                                 : written.at("as_tensor");
    return {graph, static_cast<size_t>(node.position) + 1, tensor.at("name").get<std::string>()};
  }
  ADA_ASSERT(false, "value '" + program_.values[value].name + "' is not among its producer's results");
}

json NodeInserter::describe(const InsertedNode& node, const std::string& operand,
                            const std::string& result) const {
  const auto handle = find_operator(node.target);
  ADA_ASSERT(handle && !handle->schema().arguments().empty(),
             "operator '" + node.target + "' cannot be inserted");
  const c10::FunctionSchema& schema = handle->schema();
  json inputs = json::array();
  inputs.push_back({{"name", schema.arguments()[0].name()},
                    {"arg", {{"as_tensor", {{"name", operand}}}}},
                    {"kind", kPositional}});
  for (const auto& [name, literal] : node.arguments) {
    const auto index = schema.argumentIndexWithName(name);
    ADA_ASSERT(index, "operator '" + node.target + "' has no operand '" + name + "'");
    const int kind = schema.arguments()[*index].kwarg_only() ? kKeyword : kPositional;
    inputs.push_back({{"name", name}, {"arg", literal_argument(literal)}, {"kind", kind}});
  }
  return {{"name", result},
          {"target", node.target},
          {"inputs", inputs},
          {"outputs", {{{"as_tensor", {{"name", result}}}}}},
          {"metadata", {{"nn_module_stack", "L__self__,," + program_.calls[0].type}}},
          {"is_hop_single_tensor_return", nullptr}};
}

}  // namespace adascale
