#include "device/fake/fallback.h"

#include <torch/library.h>

#include <set>

#include "device/fake/alias.h"
#include "device/fake/allocators.h"
#include "device/fake/counters.h"
#include "device/fake/generator.h"

namespace fake_device {
namespace {

using torch::jit::Stack;

// The host learns a value or a size from the device's data.
bool waits_for_data(const std::string& op) {
  static const std::set<std::string> names = {"aten::_local_scalar_dense",
                                              "aten::_unique",
                                              "aten::_unique2",
                                              "aten::bincount",
                                              "aten::equal",
                                              "aten::masked_select",
                                              "aten::nonzero",
                                              "aten::repeat_interleave",
                                              "aten::unique_dim",
                                              "aten::unique_consecutive"};
  return names.count(op) != 0;
}

// x[mask] = values looks for the mask's indices first; x[mask] = number fills.
bool puts_by_mask(const c10::FunctionSchema& schema, const Stack& stack) {
  if (schema.name() != "aten::_index_put_impl_") return false;
  const auto values = torch::jit::last(stack, schema.arguments().size());
  if (!values[1].isOptionalTensorList() || values[2].toTensor().numel() == 1) return false;
  for (const std::optional<at::Tensor>& index : values[1].toOptionalTensorVector()) {
    if (index && index->defined() && index->scalar_type() == c10::kBool) return true;
  }
  return false;
}

// An operator that makes a view writes nothing and launches nothing.
bool makes_view(const c10::FunctionSchema& schema) {
  const auto is_view = [](const c10::Argument& result) {
    return result.alias_info() != nullptr && !result.alias_info()->isWrite();
  };
  return !schema.returns().empty() && is_view(schema.returns()[0]);
}

void count(const c10::FunctionSchema& schema, const Stack& stack) {
  if (makes_view(schema)) return;
  if (waits_for_data(schema.name()) || puts_by_mask(schema, stack)) count_sync(schema.name());
  if (schema.name() != "aten::_local_scalar_dense") count_launch(schema.name());
}

c10::IValue to_host(const c10::IValue& value, const c10::Argument& argument, Loans& loans) {
  const auto lend = [&](const at::Tensor& tensor) { return on_device(tensor) ? loans.lend(tensor) : tensor; };
  if (value.isTensor()) return lend(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(lend(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
      list.push_back(tensor ? std::optional(lend(*tensor)) : tensor);
    }
    return list;
  }
  if (value.isDevice()) return c10::Device(c10::kCPU);
  if (value.isGenerator()) return host_generator(value.toGenerator());
  if (value.isNone() && *argument.type() == *c10::OptionalType::create(c10::GeneratorType::get())) {
    return host_generator(default_generator());
  }
  return value;
}

c10::IValue to_device(const c10::IValue& value, const Loans& loans) {
  if (value.isTensor()) return loans.give_back(value.toTensor());
  if (!value.isTensorList()) return value;
  c10::List<at::Tensor> list;
  for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(loans.give_back(tensor));
  return list;
}

void fall_back(const c10::OperatorHandle& op, Stack* stack) {
  check_devices(op.schema(), *stack);
  count(op.schema(), *stack);
  run_on_host(op, stack);
}

}  // namespace

void run_on_host(const c10::OperatorHandle& op, Stack* stack) {
  Loans loans;
  const auto& arguments = op.schema().arguments();
  c10::IValue* values = stack->data() + stack->size() - arguments.size();
  for (size_t i = 0; i < arguments.size(); ++i) values[i] = to_host(values[i], arguments[i], loans);
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  loans.settle();
  for (size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); ++i) {
    (*stack)[i] = to_device((*stack)[i], loans);
  }
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&fall_back>());
}

}  // namespace fake_device
