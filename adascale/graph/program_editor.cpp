#include "adascale/graph/program_editor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/graph/document_names.h"

namespace adascale {
namespace {

using nlohmann::json;

constexpr int kPositional = 1;  // torch/_export/serde/schema.py, class ArgumentKind
const std::string kTop = "/graph_module/graph";

json& top_graph(json& document) {
  return document.at("graph_module").at("graph");
}
json& input_specs(json& document) {
  return document.at("graph_module").at("signature").at("input_specs");
}

/// The tensor named by an argument or by an input's spec.
std::string tensor_name(const json& argument) {
  const json& held = argument.contains("as_tensor") ? argument.at("as_tensor") : argument;
  return held.at("name").get<std::string>();
}
std::string state_name(const json& spec) {
  return tensor_name(spec.begin().value().at("arg"));
}

json::iterator find_input(json& graph, const std::string& name) {
  json& inputs = graph.at("inputs");
  return std::find_if(inputs.begin(), inputs.end(), [&](const json& input) {
    return input.contains("as_tensor") && tensor_name(input) == name;
  });
}

json::iterator find_operand(json& node, const std::string& name) {
  json& operands = node.at("inputs");
  return std::find_if(operands.begin(), operands.end(),
                      [&](const json& operand) { return operand.at("name") == name; });
}

size_t index_of_input(const Program& program, ValueId value) {
  for (size_t i = 0; i < program.inputs.size(); ++i)
    if (program.inputs[i].value == value) return i;
  ADA_ASSERT(false, "value '" + program.values[value].name + "' is no input");
}

/// The document's metadata of a vector with the dtype and device of `like`.
json vector_meta(json like, int64_t length) {
  like["sizes"] = json::array({json{{"as_int", length}}});
  like["strides"] = json::array({json{{"as_int", 1}}});
  like["storage_offset"] = {{"as_int", 0}};
  return like;
}

void redirect(Argument& argument, ValueId from, ValueId to) {
  if (argument.kind == Argument::Kind::kValue && argument.value == from) argument.value = to;
  for (Argument& item : argument.items) redirect(item, from, to);
}

/// Applies `change` to every value id that the argument holds.
template <class Change>
void renumber(Argument& argument, const Change& change) {
  if (argument.kind == Argument::Kind::kValue) argument.value = change(argument.value);
  for (Argument& item : argument.items) renumber(item, change);
}

Argument reference_to(ValueId value) {
  Argument argument;
  argument.kind = Argument::Kind::kValue;
  argument.value = value;
  return argument;
}

/// The new index of each item that stays; kNone for the others.
std::vector<int32_t> places_of_living(const std::vector<bool>& is_dead) {
  std::vector<int32_t> places;
  int32_t next = 0;
  for (const bool dead : is_dead) places.push_back(dead ? kNone : next++);
  return places;
}

template <class Item>
void keep_living(std::vector<Item>& items, const std::vector<bool>& is_dead) {
  size_t next = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (is_dead[i]) continue;
    if (next != i) items[next] = std::move(items[i]);
    ++next;
  }
  items.resize(next);
}

}  // namespace

ProgramEditor::ProgramEditor(Program& program)
    : program_(program),
      document_(std::make_unique<json>(*program.document)),
      node_is_dead_(program.nodes.size()) {}
ProgramEditor::~ProgramEditor() = default;

void ProgramEditor::add_parameter(NodeId id, const std::string& operand, const std::string& name,
                                  const at::Tensor& tensor, const std::string& after) {
  Node& node = program_.nodes[id];
  ADA_ASSERT(node.graph_path == kTop, "a nested graph cannot be edited");
  json& graph = top_graph(*document_);
  json& written = graph.at("nodes").at(node.position);
  const std::string neighbour = tensor_name(find_operand(written, after)->at("arg"));
  auto taken = names_in(document_->at("graph_module"));
  std::string wanted = "p_" + name;
  std::replace(wanted.begin(), wanted.end(), '.', '_');
  const std::string value_name = fresh_name(wanted, taken);

  const json argument = {{"as_tensor", {{"name", value_name}}}};
  if (const auto given = find_operand(written, operand); given != written.at("inputs").end())
    given->at("arg") = argument;
  else
    written.at("inputs").insert(find_operand(written, after) + 1,
                                json{{"name", operand}, {"arg", argument}, {"kind", kPositional}});
  const size_t place = index_of_input(program_, node.input(after)->value) + 1;
  json& specs = input_specs(*document_);
  const json spec = {{"arg", {{"name", value_name}}}, {"parameter_name", name}};
  specs.insert(specs.begin() + static_cast<int64_t>(place), json{{"parameter", spec}});
  graph.at("inputs").insert(find_input(graph, neighbour) + 1, argument);
  graph.at("tensor_values")[value_name] =
      vector_meta(graph.at("tensor_values").at(neighbour), tensor.numel());

  const auto value = static_cast<ValueId>(program_.values.size());
  Value made;
  made.name = value_name;
  made.dtype = tensor.scalar_type();
  made.sizes = {{tensor.numel(), {}}};
  program_.values.push_back(std::move(made));
  program_.inputs.insert(program_.inputs.begin() + static_cast<int64_t>(place),
                         {ProgramInput::Kind::kParameter, value, name, {}});
  program_.state[name] = tensor;
  const auto named = [](const std::string& wanted_name) {
    return [&wanted_name](const NamedArgument& input) { return input.name == wanted_name; };
  };
  const auto own = std::find_if(node.inputs.begin(), node.inputs.end(), named(operand));
  if (own != node.inputs.end())
    own->argument = reference_to(value);
  else
    node.inputs.insert(std::find_if(node.inputs.begin(), node.inputs.end(), named(after)) + 1,
                       {operand, reference_to(value)});
}

void ProgramEditor::bypass(NodeId id, ValueId from, ValueId to) {
  const Node& node = program_.nodes[id];
  ADA_ASSERT(node.graph_path == kTop, "a nested graph cannot be edited");
  json& graph = top_graph(*document_);
  const json& written = graph.at("nodes").at(node.position);
  const std::string from_name = tensor_name(written.at("outputs").at(0));
  const std::string to_name = tensor_name(written.at("inputs").at(0).at("arg"));
  for (const json& output : written.at("outputs"))
    if (output.contains("as_tensor")) dead_names_.push_back(tensor_name(output));
  rename_readers(graph, static_cast<size_t>(node.position) + 1, from_name, to_name);
  rename_in_signature(document_->at("graph_module"), from_name, to_name);
  for (Node& reader : program_.nodes)
    for (NamedArgument& input : reader.inputs) redirect(input.argument, from, to);
  for (Argument& output : program_.outputs) redirect(output, from, to);
  node_is_dead_[id] = true;
}

void ProgramEditor::remove_inputs_under(const std::string& name, const Node& reader) {
  const size_t dot = name.rfind('.');
  const std::string module = dot == std::string::npos ? "" : name.substr(0, dot + 1);
  const std::vector<ValueId> read = reader.reads();
  for (size_t i = program_.inputs.size(); i-- > 0;) {
    const ProgramInput& input = program_.inputs[i];
    if (input.kind == ProgramInput::Kind::kUser) continue;
    const auto& users = program_.values[input.value].users;
    const bool is_read = std::find(read.begin(), read.end(), input.value) != read.end();
    const bool is_idle = users.empty() && input.kind == ProgramInput::Kind::kBuffer && !module.empty() &&
                         input.name.substr(0, input.name.rfind('.') + 1) == module;
    if (is_read || is_idle) remove_input(i);
  }
}

void ProgramEditor::remove_input(size_t index) {
  json& specs = input_specs(*document_);
  json& graph = top_graph(*document_);
  const std::string name = state_name(specs.at(index));
  graph.at("inputs").erase(find_input(graph, name));
  specs.erase(index);
  dead_names_.push_back(name);
  program_.state.erase(program_.inputs[index].name);
  program_.inputs.erase(program_.inputs.begin() + static_cast<int64_t>(index));
}

void ProgramEditor::finish() {
  for (const std::string& name : dead_names_) top_graph(*document_).at("tensor_values").erase(name);
  erase_calls();
  erase_nodes();
  erase_values();
  program_.document = std::move(document_);
  link(program_);
}

void ProgramEditor::erase_calls() {
  std::vector<bool> is_dead;
  for (const ModuleCall& call : program_.calls) {
    const auto& nodes = call.nodes;
    const bool lost_all =
        std::all_of(nodes.begin(), nodes.end(), [&](NodeId node) { return node_is_dead_[node]; });
    is_dead.push_back(!nodes.empty() && lost_all && call.parent != kNone);
  }
  const std::vector<CallId> places = places_of_living(is_dead);
  const auto place_of = [&](CallId call) { return call == kNone ? kNone : places[call]; };
  for (ModuleCall& call : program_.calls) call.parent = place_of(call.parent);
  for (Node& node : program_.nodes) node.call = place_of(node.call);
  keep_living(program_.calls, is_dead);
}

void ProgramEditor::erase_nodes() {
  std::vector<bool> is_gone(top_graph(*document_).at("nodes").size());  // by position in the top graph
  for (size_t i = 0; i < program_.nodes.size(); ++i)
    if (node_is_dead_[i]) is_gone[program_.nodes[i].position] = true;
  json& nodes = top_graph(*document_).at("nodes");
  for (size_t i = nodes.size(); i-- > 0;)
    if (is_gone[i]) nodes.erase(i);

  const std::vector<int32_t> places = places_of_living(is_gone);
  const std::string nested = kTop + "/nodes/";
  for (Node& node : program_.nodes) {
    if (node.graph_path == kTop) {
      node.position = places[node.position];
    } else if (node.graph_path.rfind(nested, 0) == 0) {
      const size_t end = node.graph_path.find('/', nested.size());
      const int position = std::stoi(node.graph_path.substr(nested.size(), end - nested.size()));
      node.graph_path = nested + std::to_string(places[position]) + node.graph_path.substr(end);
    }
  }
  keep_living(program_.nodes, node_is_dead_);
}

/// Values that are neither an input nor made or read by a node.
void ProgramEditor::erase_values() {
  std::vector<bool> is_dead(program_.values.size(), true);
  for (const ProgramInput& input : program_.inputs)
    if (input.value != kNone) is_dead[input.value] = false;
  for (const Node& node : program_.nodes)
    for (const ValueId value : node.writes()) is_dead[value] = false;
  const std::vector<ValueId> places = places_of_living(is_dead);
  const auto place_of = [&](ValueId value) { return value == kNone ? kNone : places[value]; };
  for (ProgramInput& input : program_.inputs) input.value = place_of(input.value);
  for (Argument& output : program_.outputs) renumber(output, place_of);
  for (Node& node : program_.nodes) {
    for (NamedArgument& input : node.inputs) renumber(input.argument, place_of);
    for (NodeOutput& output : node.outputs)
      for (ValueId& value : output.values) value = place_of(value);
  }
  keep_living(program_.values, is_dead);
}

}  // namespace adascale
