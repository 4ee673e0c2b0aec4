#include "adascale/sim/inputs.h"

#include <ATen/TensorOperators.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/error.h"

namespace adascale {
namespace {

std::vector<std::string> tensor_input_names(const Program& program) {
  std::vector<std::string> names;
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone) names.push_back(input->name);
  return names;
}

}  // namespace

Inputs bind_inputs(const Program& program, const std::map<std::string, at::Tensor>& tensors) {
  Objections objections;
  Inputs bound;
  for (const ProgramInput* input : program.user_inputs()) {
    const auto found = tensors.find(input->name);
    if (input->value == kNone) {
      bound.push_back(input->constant);
    } else if (found == tensors.end()) {
      objections.add("input '{}' is missing", input->name);
    } else {
      bound.emplace_back(found->second);
    }
  }
  const auto names = tensor_input_names(program);
  for (const auto& [name, tensor] : tensors)
    if (std::find(names.begin(), names.end(), name) == names.end())
      objections.add("'{}' is no input of the program, which takes {}", name, fmt::join(names, ", "));
  objections.raise();
  return bound;
}

Inputs bind_inputs(const Program& program, const std::vector<at::Tensor>& tensors) {
  const auto names = tensor_input_names(program);
  ADA_CHECK(tensors.size() == names.size(), "inputs: got {} tensors, expected {} ({})", tensors.size(),
            names.size(), fmt::join(names, ", "));
  std::map<std::string, at::Tensor> named;
  for (size_t i = 0; i < names.size(); ++i) named.emplace(names[i], tensors[i]);
  return bind_inputs(program, named);
}

Inputs copy_to_host(Inputs inputs) {
  for (c10::IValue& input : inputs) {
    if (!input.isTensor()) continue;
    const at::Tensor tensor = input.toTensor().detach();
    input = tensor.is_cpu() ? tensor.clone() : tensor.cpu();
  }
  return inputs;
}

void check_no_nan(const Program& program, const Inputs& inputs) {
  const auto expected = program.user_inputs();
  for (size_t i = 0; i < inputs.size() && i < expected.size(); ++i) {
    if (!inputs[i].isTensor() || !inputs[i].toTensor().is_floating_point()) continue;
    ADA_CHECK(!inputs[i].toTensor().isnan().any().item<bool>(), "input '{}' holds NaN", expected[i]->name);
  }
}

}  // namespace adascale
