#include "adascale/io/graph_reader.h"

#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/graph/grouped_products.h"
#include "adascale/graph/size_expression.h"
#include "adascale/io/json_fields.h"
#include "adascale/io/symbolic_dim.h"

namespace adascale {
namespace {

using nlohmann::json;

const std::string kGradRegion = "torch.ops.higher_order.wrap_with_set_grad_enabled";
const std::string kAutocastRegion = "torch.ops.higher_order.wrap_with_autocast";

std::string text_or_empty(const json& object, const char* field) {
  const auto found = object.find(field);
  return found == object.end() || found->is_null() ? "" : found->get<std::string>();
}

/// The name that an operand or result of the export schema binds; empty for none.
std::string bound_name(const json& argument) {
  const auto [tag, held] = read_union(argument, "argument");
  if (tag == "as_tensor") return held.at("name").get<std::string>();
  if (tag == "as_none") return "";
  const bool is_symbol = tag == "as_sym_int" || tag == "as_sym_float" || tag == "as_sym_bool";
  ADA_CHECK(is_symbol && held.contains("as_name"), "'{}' cannot stand here, expected a tensor or a symbol",
            tag);
  return held.at("as_name").get<std::string>();
}

}  // namespace

GraphReader::GraphReader(Program& program, const json& document)
    : program_(program), document_(document), stacks_(program) {}

void GraphReader::read() {
  const json& graph_module = document_.at("graph_module");
  Frame frame{graph_module.at("graph"), "/graph_module/graph", "", true, {}};
  const json& signature = graph_module.at("signature");
  for (const json& spec : signature.at("input_specs")) read_input(spec, frame);
  read_nodes(frame);
  read_user_outputs(signature.at("output_specs"), frame);
}

void GraphReader::read_input(const json& spec, Frame& frame) {
  using Kind = ProgramInput::Kind;
  const auto [tag, held] = read_union(spec, "input of the signature");
  place_ = "input " + std::to_string(program_.inputs.size());
  if (tag == "parameter") return read_state_input(Kind::kParameter, held, "parameter_name", frame);
  if (tag == "buffer") return read_state_input(Kind::kBuffer, held, "buffer_name", frame);
  if (tag == "tensor_constant") return read_state_input(Kind::kConstant, held, "tensor_constant_name", frame);
  if (tag == "user_input") return read_user_input(held.at("arg"), frame);
  ADA_CHECK(tag == "constant_input", "inputs of kind '{}' are not supported", tag);
  ProgramInput input;
  input.name = held.at("name").get<std::string>();
  input.constant = read_argument(held.at("value"), frame.scope).literal;
  program_.inputs.push_back(input);
}

void GraphReader::read_state_input(ProgramInput::Kind kind, const json& spec, const char* name_field,
                                   Frame& frame) {
  ProgramInput input;
  input.kind = kind;
  input.name = spec.at(name_field).get<std::string>();
  input.value = add_tensor(spec.at("arg").at("name").get<std::string>(), frame);
  program_.inputs.push_back(input);
}

void GraphReader::read_user_input(const json& argument, Frame& frame) {
  ProgramInput input;
  const std::string tag = read_union(argument, "user input").tag;
  if (tag == "as_tensor" || tag == "as_sym_int" || tag == "as_sym_float" || tag == "as_sym_bool") {
    input.name = bound_name(argument);
    input.value = tag == "as_tensor" ? add_tensor(input.name, frame) : add_symbol(input.name, frame);
  } else {
    input.name = fmt::format("argument {}", program_.user_inputs().size());
    input.constant = read_argument(argument, frame.scope).literal;
  }
  program_.inputs.push_back(input);
}

void GraphReader::read_nodes(Frame& frame) {
  int32_t position = 0;
  for (const json& node : frame.graph.at("nodes")) read_node(node, position++, frame);
}

void GraphReader::read_node(const json& node, int32_t position, Frame& frame) {
  const std::string target = node.at("target").get<std::string>();
  std::string name = text_or_empty(node, "name");
  if (name.empty()) name = fmt::format("{}_{}", target.substr(target.rfind('.') + 1), position);
  place_ = fmt::format("node '{}' ({})", name, target);
  const json& operands = node.at("inputs");
  if (target == kGradRegion) {
    return inline_graph(node, position, 1, operands.at(0).at("arg").at("as_bool").get<bool>(), frame);
  }
  if (target == kAutocastRegion) {
    ADA_CHECK(!operands.at(2).at("arg").at("as_bool").get<bool>(),
              "autocast regions are not supported; export the model outside torch.autocast");
    return inline_graph(node, position, 4, frame.grad_enabled, frame);
  }
  Node read;
  read.name = unique(node_names_, frame.prefix, name);
  read.target = target;
  read.grad_enabled = frame.grad_enabled;
  read.graph_path = frame.pointer;
  read.position = position;
  const json& metadata = node.at("metadata");
  read.call = stacks_.innermost(text_or_empty(metadata, "nn_module_stack"));
  read.source = innermost_source(text_or_empty(metadata, "stack_trace"));
  for (const json& operand : operands) {
    read.inputs.push_back(
        {operand.at("name").get<std::string>(), read_argument(operand.at("arg"), frame.scope)});
  }
  call_it_torchs_grouped_product(read);
  for (const json& output : node.at("outputs")) read.outputs.push_back(read_output(output, frame));
  program_.nodes.push_back(std::move(read));
}

void GraphReader::inline_graph(const json& node, int32_t position, size_t graph_operand, bool grad_enabled,
                               Frame& outer) {
  const json& operands = node.at("inputs");
  const json& held = operands.at(graph_operand).at("arg").at("as_graph");
  Frame inner{held.at("graph"),
              fmt::format("{}/nodes/{}/inputs/{}/arg/as_graph/graph", outer.pointer, position, graph_operand),
              outer.prefix + held.at("name").get<std::string>() + ".",
              grad_enabled,
              {}};
  const json& inputs = inner.graph.at("inputs");
  const size_t given = operands.size() - graph_operand - 1;
  ADA_CHECK(given == inputs.size(), "the nested graph takes {} operands, got {}", inputs.size(), given);
  for (size_t i = 0; i < given; ++i) {
    const json& operand = operands.at(graph_operand + 1 + i).at("arg");
    inner.scope[bound_name(inputs.at(i))] = read_argument(operand, outer.scope);
  }
  read_nodes(inner);
  const json& returned = inner.graph.at("outputs");
  const json& outputs = node.at("outputs");
  // A single result that is a list (a region that returns a tuple of one) is written as `as_tensors`.
  const bool is_list = outputs.size() == 1 && outputs.at(0).contains("as_tensors");
  const json& names = is_list ? outputs.at(0).at("as_tensors") : outputs;
  ADA_CHECK(names.size() <= returned.size(), "the nested graph returns {} values, got {} names",
            returned.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = is_list ? names.at(i).at("name").get<std::string>() : bound_name(names.at(i));
    if (!name.empty()) outer.scope[name] = read_argument(returned.at(i), inner.scope);
  }
}

NodeOutput GraphReader::read_output(const json& output, Frame& frame) {
  NodeOutput read;
  const auto [tag, held] = read_union(output, "output");
  if (tag == "as_tensors") {
    read.is_list = true;
    for (const json& item : held)
      read.values.push_back(add_tensor(item.at("name").get<std::string>(), frame));
  } else {
    const json& result = tag == "as_optional_tensor" ? held : output;
    const std::string name = bound_name(result);
    const bool is_tensor = result.contains("as_tensor");
    read.values = {name.empty() ? kNone : is_tensor ? add_tensor(name, frame) : add_symbol(name, frame)};
  }
  return read;
}

void GraphReader::read_user_outputs(const json& specs, const Frame& frame) {
  for (const json& spec : specs) {
    const auto [tag, held] = read_union(spec, "output of the signature");
    place_ = "output " + std::to_string(program_.outputs.size());
    // A run never changes the caller's tensors or the state, so writes back to them have no effect here.
    if (tag == "buffer_mutation" || tag == "user_input_mutation" || tag == "parameter_mutation") continue;
    ADA_CHECK(tag == "user_output", "outputs of kind '{}' are not supported", tag);
    program_.outputs.push_back(read_argument(held.at("arg"), frame.scope));
    ADA_CHECK(program_.outputs.back().kind != Argument::Kind::kList, "a list cannot be one flat output");
  }
}

ValueId GraphReader::add_tensor(const std::string& name, Frame& frame) {
  Value value;
  const json& metas = frame.graph.at("tensor_values");
  const auto meta = metas.find(name);
  if (meta != metas.end()) {
    value.dtype = read_dtype(meta->at("dtype"));
    for (const json& size : meta->at("sizes")) value.sizes.push_back(read_dim(size));
  }
  return add_value(std::move(value), name, frame);
}

ValueId GraphReader::add_symbol(const std::string& name, Frame& frame) {
  Value value;
  value.kind = ValueKind::kSymbol;
  return add_value(std::move(value), name, frame);
}

ValueId GraphReader::add_value(Value value, const std::string& name, Frame& frame) {
  const auto id = static_cast<ValueId>(program_.values.size());
  ADA_CHECK(frame.scope.emplace(name, make_reference(id)).second, "value '{}' is made twice", name);
  value.name = unique(value_names_, frame.prefix, name);
  program_.values.push_back(std::move(value));
  return id;
}

Dim GraphReader::read_dim(const json& size) {
  const auto [tag, held] = read_union(size, "size");
  if (tag == "as_int") return {read_int(held), {}};
  const std::string srepr = held.at("expr_str").get<std::string>();
  const auto known = dims_.find(srepr);
  Dim dim = known == dims_.end() ? symbolic_dim(srepr, document_.at("range_constraints")) : known->second;
  dims_[srepr] = dim;
  const auto hint = held.find("hint");
  if (hint != held.end() && hint->is_object() && hint->contains("as_int"))
    dim.size = read_int(hint->at("as_int"));
  return dim;
}

std::string GraphReader::unique(std::unordered_set<std::string>& taken, const std::string& prefix,
                                const std::string& name) {
  std::string candidate = name;
  while (!taken.insert(candidate).second) candidate = (prefix.empty() ? "again." : prefix) + candidate;
  return candidate;
}

}  // namespace adascale
