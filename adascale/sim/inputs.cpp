#include <fmt/ranges.h>

#include "adascale/core/error.h"
#include "adascale/sim/quantsim.h"

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

}  // namespace adascale
