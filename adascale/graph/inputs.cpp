#include <map>

#include "adascale/core/error.h"
#include "adascale/graph/interpreter.h"
#include "adascale/graph/size_expression.h"

namespace adascale {
namespace {

using c10::IValue;

constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();

std::string range_text(const Dim& dim) {
  return dim.max >= kUnbounded - 1 ? fmt::format("at least {}", dim.min)
                                   : fmt::format("{} to {}", dim.min, dim.max);
}

std::string constant_text(const IValue& value) {
  if (value.isNone()) return "None";
  if (value.isString()) return "'" + value.toStringRef() + "'";
  if (value.isBool()) return value.toBool() ? "True" : "False";
  if (value.isInt()) return fmt::format("{}", value.toInt());
  return value.isDouble() ? fmt::format("{}", value.toDouble()) : value.tagKind();
}

bool is_number(const IValue& value) {
  return value.isInt() || value.isDouble() || value.isBool();
}

bool same_constant(const IValue& a, const IValue& b) {
  if (is_number(a) && is_number(b)) return a.toScalar().toDouble() == b.toScalar().toDouble();
  if (a.isString() && b.isString()) return a.toStringRef() == b.toStringRef();
  return a.isNone() && b.isNone();
}

/// Collects the faults of the inputs of one call.
class InputChecker {
 public:
  explicit InputChecker(const Program& program) : program_(program) {}

  void check(const ProgramInput& input, const IValue& given) {
    if (input.value == kNone) return check_constant(input, given);
    const Value& value = program_.values[input.value];
    if (value.kind == ValueKind::kSymbol) {
      if (!is_number(given))
        objections_.add("input '{}': got a {}, expected a number", input.name, given.tagKind());
    } else if (!given.isTensor()) {
      objections_.add("input '{}': got {}, expected a tensor", input.name, constant_text(given));
    } else {
      check_tensor(input.name, value, given.toTensor());
    }
  }

  void finish() {
    for (const Size& size : derived_) check_derived(size);
    objections_.raise();
  }

 private:
  struct Size {
    std::string input;
    size_t position;
    int64_t size;
    const Dim* dim;
  };

  void check_constant(const ProgramInput& input, const IValue& given) {
    if (same_constant(input.constant, given)) return;
    objections_.add("input '{}': got {}, expected {}, fixed when the model was exported", input.name,
                    constant_text(given), constant_text(input.constant));
  }

  void check_tensor(const std::string& name, const Value& value, const at::Tensor& tensor) {
    if (tensor.scalar_type() != value.dtype) {
      objections_.add("input '{}': got dtype {}, expected {}", name, c10::toString(tensor.scalar_type()),
                      c10::toString(value.dtype));
    }
    if (static_cast<size_t>(tensor.dim()) != value.sizes.size()) {
      objections_.add("input '{}': got {} dimensions, expected {}", name, tensor.dim(), value.sizes.size());
      return;
    }
    for (size_t d = 0; d < value.sizes.size(); ++d) check_size({name, d, tensor.size(d), &value.sizes[d]});
  }

  void check_size(const Size& given) {
    const Dim& dim = *given.dim;
    if (dim.is_fixed()) {
      if (given.size != dim.size) object(given, fmt::format("{}", dim.size));
    } else if (given.size < dim.min || given.size > dim.max) {
      object(given, range_text(dim));
    } else if (symbols_of(dim.symbol) == std::vector{dim.symbol}) {
      bind(dim.symbol, given);
    } else {
      derived_.push_back(given);
    }
  }

  void bind(const std::string& symbol, const Size& given) {
    const auto [first, is_new] = first_.emplace(symbol, given);
    if (is_new) {
      sizes_[symbol] = given.size;
    } else if (first->second.size != given.size) {
      object(given, fmt::format("{} as dimension {} of '{}'", first->second.size, first->second.position,
                                first->second.input));
    }
  }

  /// A size computed from others: "Mul(16, s7)".
  void check_derived(const Size& given) {
    const std::string& expression = given.dim->symbol;
    std::vector<std::string> unknown;
    for (const std::string& symbol : symbols_of(expression)) {
      if (!sizes_.count(symbol)) unknown.push_back(symbol);
    }
    if (unknown.empty()) {
      const auto expected = evaluate_expression(expression, sizes_);
      if (expected && *expected != given.size) object(given, fmt::format("{}", *expected));
    } else if (unknown.size() == 1) {
      const bool is_linear = evaluate_expression(expression, with(unknown[0], 1)).has_value();
      const auto solution = solve_expression(expression, sizes_, unknown[0], given.size);
      if (is_linear && !solution) object(given, fmt::format("the form {}", expression));
      if (solution) sizes_[unknown[0]] = *solution;
    }
  }

  SymbolSizes with(const std::string& symbol, int64_t size) const {
    SymbolSizes sizes = sizes_;
    sizes[symbol] = size;
    return sizes;
  }

  void object(const Size& given, const std::string& expected) {
    objections_.add("input '{}': size of dimension {} is {}, expected {}", given.input, given.position,
                    given.size, expected);
  }

  const Program& program_;
  Objections objections_;
  std::map<std::string, Size> first_;
  SymbolSizes sizes_;
  std::vector<Size> derived_;
};

std::string names_of(const std::vector<const ProgramInput*>& inputs) {
  std::string names;
  for (const ProgramInput* input : inputs) names += (names.empty() ? "" : ", ") + input->name;
  return names;
}

}  // namespace

void check_inputs(const Program& program, const std::vector<IValue>& inputs) {
  const auto expected = program.user_inputs();
  ADA_CHECK(inputs.size() == expected.size(), "got {} inputs, expected {}: {}", inputs.size(),
            expected.size(), names_of(expected));
  InputChecker checker(program);
  for (size_t i = 0; i < inputs.size(); ++i) checker.check(*expected[i], inputs[i]);
  checker.finish();
}

void feed_inputs(const Program& program, const std::vector<IValue>& inputs, Environment& environment,
                 const RunHooks& hooks) {
  check_inputs(program, inputs);
  const auto expected = program.user_inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId value = expected[i]->value;
    if (value == kNone) continue;
    if (!inputs[i].isTensor()) {
      environment.set(value, inputs[i]);
      continue;
    }
    const at::Tensor input = inputs[i].toTensor().to(program.device);
    const bool is_transformed = hooks.transform && program.values[value].is_float_tensor();
    environment.set(value, is_transformed ? hooks.transform(value, input) : input);
  }
}

std::vector<IValue> collect_outputs(const Program& program, const Environment& environment) {
  std::vector<IValue> outputs;
  for (const Argument& output : program.outputs) {
    const bool is_value = output.kind == Argument::Kind::kValue;
    outputs.push_back(is_value ? environment.get(output.value) : output.literal);
  }
  return outputs;
}

std::vector<IValue> run_program(const Program& program, const std::vector<IValue>& inputs,
                                const RunHooks& hooks) {
  const Interpreter interpreter(program);
  Environment environment(program);
  feed_inputs(program, inputs, environment, hooks);
  interpreter.run(environment, hooks);
  return collect_outputs(program, environment);
}

}  // namespace adascale
