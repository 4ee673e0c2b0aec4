#include "adascale/io/program_checks.h"

#include <fmt/ranges.h>

#include <set>
#include <unordered_map>

#include "adascale/core/error.h"
#include "adascale/graph/operators.h"

namespace adascale {
namespace {

/// An operator's switch for training mode, and the operand that makes it matter.
struct TrainingSwitch {
  const char* flag;         // a bool operand; nullptr: always on
  const char* probability;  // chance of dropping; nullptr: not a dropout
  const char* running;      // running statistics that the batch's own would replace; nullptr: not a norm
};

const std::unordered_map<std::string, TrainingSwitch>& training_switches() {
  static const std::unordered_map<std::string, TrainingSwitch> rows = {
      {"aten::dropout", {"train", "p", nullptr}},
      {"aten::dropout_", {"train", "p", nullptr}},
      {"aten::native_dropout", {"train", "p", nullptr}},
      {"aten::feature_dropout", {"train", "p", nullptr}},
      {"aten::feature_dropout_", {"train", "p", nullptr}},
      {"aten::alpha_dropout", {"train", "p", nullptr}},
      {"aten::alpha_dropout_", {"train", "p", nullptr}},
      {"aten::feature_alpha_dropout", {"train", "p", nullptr}},
      {"aten::rrelu", {"training", nullptr, nullptr}},
      {"aten::rrelu_", {"training", nullptr, nullptr}},
      {"aten::scaled_dot_product_attention", {nullptr, "dropout_p", nullptr}},
      {"aten::lstm", {"train", "dropout", nullptr}},
      {"aten::gru", {"train", "dropout", nullptr}},
      {"aten::rnn_tanh", {"train", "dropout", nullptr}},
      {"aten::rnn_relu", {"train", "dropout", nullptr}},
      {"aten::batch_norm", {"training", nullptr, "running_mean"}},
      {"aten::native_batch_norm", {"training", nullptr, "running_mean"}},
      {"aten::_native_batch_norm_legit", {"training", nullptr, "running_mean"}},
      {"aten::_native_batch_norm_legit_functional", {"training", nullptr, "running_mean"}},
      {"aten::_batch_norm_with_update", {nullptr, nullptr, "running_mean"}},
      {"aten::_batch_norm_with_update_functional", {nullptr, nullptr, "running_mean"}},
  };
  return rows;
}

/// The operand's value as a number; `otherwise` when the graph leaves the default or computes it.
double number_or(const Node& node, const char* name, double otherwise) {
  const Argument* operand = node.input(name);
  if (!operand || operand->kind != Argument::Kind::kLiteral) return otherwise;
  const c10::IValue& literal = operand->literal;
  if (literal.isBool()) return literal.toBool();
  return literal.isScalar() ? literal.toScalar().toDouble() : otherwise;
}

bool is_given(const Node& node, const char* name) {
  const Argument* operand = node.input(name);
  return operand && operand->kind == Argument::Kind::kValue;
}

bool is_training(const Node& node) {
  const auto found = training_switches().find(node.op());
  if (found == training_switches().end()) return false;
  const auto [flag, probability, running] = found->second;
  if (flag && number_or(node, flag, 0) == 0) return false;
  if (probability && number_or(node, probability, 0) == 0) return false;
  // A norm without running statistics uses the batch's own in eval mode too.
  return !running || is_given(node, running);
}

}  // namespace

void check_operators(const Program& program) {
  std::set<std::string> seen, unknown;
  for (const Node& node : program.nodes) {
    if (seen.insert(node.target).second && !is_runnable(node.target)) unknown.insert(node.target);
    const PythonFunction* function = find_python_function(node.target);
    ADA_CHECK(!function || (node.inputs.size() == function->operands && node.outputs.size() == 1),
              "node '{}' ({}): got {} operands, expected {}", node.name, node.target, node.inputs.size(),
              function->operands);
  }
  ADA_CHECK(unknown.empty(),
            "the program calls operators that this process does not have: {}; "
            "load the library that registers them first, or export the model without them",
            fmt::join(unknown, ", "));
}

void check_eval_mode(const Program& program) {
  for (NodeId id = 0; id < static_cast<NodeId>(program.nodes.size()); ++id) {
    ADA_CHECK(!is_training(program.nodes[id]), "{}: {} runs in training mode; export model.eval()",
              program.where(id), program.nodes[id].op());
  }
}

void check_state(const Program& program) {
  std::vector<std::string> missing;
  for (const ProgramInput& input : program.inputs) {
    const bool is_state = input.kind != ProgramInput::Kind::kUser;
    if (is_state && program.state.find(input.name) == program.state.end()) missing.push_back(input.name);
  }
  ADA_CHECK(missing.empty(), "the program names tensors that were not given: {}", fmt::join(missing, ", "));
}

}  // namespace adascale
