#include <ATen/core/op_registration/adaption.h>

#include <set>

#include "device/fake/alias.h"
#include "device/fake/allocators.h"
#include "device/fake/fallback.h"

namespace fake_device {
namespace {

// Like CUDA's operators, they copy indices from the CPU.
bool takes_host_indices(const std::string& op) {
  static const std::set<std::string> names = {"aten::index", "aten::index_put", "aten::index_put_",
                                              "aten::_index_put_impl_"};
  return names.count(op) != 0;
}

bool passes(const at::Tensor& tensor, bool is_number_allowed) {
  return !tensor.defined() || on_device(tensor) || (tensor.dim() == 0 && is_number_allowed);
}

std::vector<at::Tensor> tensors_of(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  if (value.isTensorList()) return value.toTensorVector();
  std::vector<at::Tensor> tensors;
  if (value.isOptionalTensorList()) {
    for (const auto& tensor : value.toOptionalTensorVector())
      tensors.push_back(tensor.value_or(at::Tensor()));
  }
  return tensors;
}

}  // namespace

void check_devices(const c10::FunctionSchema& schema, const torch::jit::Stack& stack) {
  const auto& arguments = schema.arguments();
  const auto values = torch::jit::last(stack, arguments.size());
  bool is_ours = false;
  for (const c10::IValue& value : values) {
    for (const at::Tensor& tensor : tensors_of(value)) is_ours |= on_device(tensor);
  }
  if (!is_ours) return;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (values[i].isList() && takes_host_indices(schema.name())) continue;
    // A kernel does not write to a number on the CPU, and it would read those of lists through pointers.
    const auto* written = arguments[i].alias_info();
    const bool is_number_allowed = values[i].isTensor() && (written == nullptr || !written->isWrite());
    for (const at::Tensor& tensor : tensors_of(values[i])) {
      if (passes(tensor, is_number_allowed)) continue;
      c10::impl::common_device_check_failure(kFake, tensor, schema.name().c_str(),
                                             arguments[i].name().c_str());
    }
  }
}

}  // namespace fake_device
