#include "adascale/graph/step.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <limits>

#include "adascale/core/error.h"
#include "adascale/device/traits.h"
#include "adascale/graph/attention.h"
#include "adascale/graph/grouped_products.h"

namespace adascale {
namespace {

/// "encoder.layer.0.fc1 (linear_3, aten::linear)".
std::string describe(const Program& program, NodeId node) {
  const std::string where = program.where(node);
  return where.substr(0, where.size() - 1) + ", " + program.nodes[node].op() + ")";
}

/// Runs `work`; turns an exception of libtorch into one Error with its first line.
template <typename Work>
void translate_errors(const Program& program, NodeId node, Work work) {
  try {
    work();
  } catch (const Error& error) {  // boundary: names the node
    throw Error(error.fault(), fmt::format("{}: {}", describe(program, node), error.what()));
  } catch (const c10::Error& error) {  // boundary: libtorch's pages become one line
    fail("{}: {}", describe(program, node), first_line(error.what_without_backtrace()));
  } catch (const std::exception& error) {  // boundary: kernels throw plain exceptions too
    fail("{}: {}", describe(program, node), first_line(error.what()));
  }
}

void check_names(const Node& node, const c10::FunctionSchema& schema) {
  for (const NamedArgument& named : node.inputs) {
    ADA_CHECK(schema.argumentIndexWithName(named.name).has_value(), "the operator has no operand '{}'",
              named.name);
  }
}

/// Casts tensors of dtype `from` to `to`.
void cast(std::vector<c10::IValue>& values, c10::ScalarType from, c10::ScalarType to) {
  for (c10::IValue& value : values) {
    if (value.isTensor() && value.toTensor().defined() && value.toTensor().scalar_type() == from)
      value = value.toTensor().to(to);
  }
}

/// Casts query, key, value and a mask that is added to `type`. The mask's lowest numbers must not
/// become infinities: a query that sees no key gets the mean of all values with the former and
/// nothing with the latter.
void cast_attention(std::vector<c10::IValue>& values, c10::ScalarType type) {
  for (size_t i = 0; i < 3; ++i) values[i] = values[i].toTensor().to(type);
  if (!values[3].isTensor() || !values[3].toTensor().is_floating_point()) return;
  const at::Tensor mask = values[3].toTensor();
  const double lowest = std::numeric_limits<c10::BFloat16>::lowest();
  values[3] = at::where(mask.isinf(), mask, mask.clamp_min(lowest)).to(type);
}

/// Replaces the operands by the result, in the operands' dtype. A device that fuses attention runs
/// the operator in `type`; elsewhere the operator does not gain from it, but two products do.
void attend(std::vector<c10::IValue>& values, c10::OperatorHandle op, c10::ScalarType type,
            c10::Device device) {
  const c10::ScalarType given = values[0].toTensor().scalar_type();
  if (traits_of(device).fuses_attention) {
    cast_attention(values, type);
    op.callBoxed(&values);
    cast(values, type, given);
  } else if (const auto attended = attend_by_products(values, type)) {
    values = {attended->to(given)};
  } else {
    op.callBoxed(&values);
  }
}

}  // namespace

Step::Step(const Program& program, NodeId node)
    : program_(program),
      node_(node),
      operator_(find_operator(program.nodes[node].target)),
      function_(find_python_function(program.nodes[node].target)),
      is_grouped_product_(is_grouped_product(program.nodes[node].op())),
      gives_float_(std::ranges::any_of(program.nodes[node].writes(), [&](ValueId value) {
        return program.values[value].dtype == at::kFloat;
      })) {
  translate_errors(program, node, [&] { match_operands(program.nodes[node]); });
}

void Step::match_operands(const Node& node) {
  if (function_) {
    for (const NamedArgument& named : node.inputs) operands_.push_back(Operand::plain(named.argument));
    return;
  }
  ADA_CHECK(operator_, "this process has no such operator");
  const c10::FunctionSchema& schema = operator_->schema();
  check_names(node, schema);
  for (const c10::Argument& formal : schema.arguments()) {
    const Argument* given = node.input(formal.name());
    ADA_CHECK(given || formal.default_value(), "operand '{}' is missing", formal.name());
    operands_.push_back(given ? Operand::compile(program_, *given, formal)
                              : Operand::constant(*formal.default_value()));
  }
}

void Step::run(const Environment& environment, std::vector<c10::IValue>& results,
               std::optional<c10::ScalarType> compute_type) const {
  translate_errors(program_, node_, [&] { call(environment, results, compute_type); });
}

void Step::call(const Environment& environment, std::vector<c10::IValue>& results,
                std::optional<c10::ScalarType> compute_type) const {
  const at::AutoGradMode mode(at::GradMode::is_enabled() && program_.nodes[node_].grad_enabled);
  results.clear();
  for (const Operand& operand : operands_) results.push_back(operand.get(environment));
  if (!gives_float_) compute_type.reset();
  if (compute_type && is_attention(program_.nodes[node_].op()))
    return attend(results, *operator_, *compute_type, program_.device);
  if (compute_type) cast(results, at::kFloat, *compute_type);
  apply(results);
  if (compute_type) cast(results, *compute_type, at::kFloat);
}

void Step::apply(std::vector<c10::IValue>& values) const {
  if (function_) {
    values = {function_->call(values)};
    return;
  }
  const auto product = is_grouped_product_ ? multiply_by_groups(values) : std::nullopt;
  if (product)
    values = {*product};
  else
    operator_->callBoxed(&values);
}

}  // namespace adascale
