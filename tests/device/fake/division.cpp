#include <ATen/ScalarOps.h>
#include <torch/library.h>

#include "device/fake/counters.h"
#include "device/fake/fallback.h"

// CUDA divides fp32 by a number by multiplying with its reciprocal, which may lose the last bit: so does this device,
// and what must be the CPU's to the bit shows in tests.
namespace fake_device {
namespace {

using torch::jit::Stack;

bool is_number(const c10::IValue& value) {
  const at::Tensor& tensor = value.toTensor();
  return tensor.is_cpu() && tensor.dim() == 0;
}

void divide(const c10::OperatorHandle& op, Stack* stack) {
  check_devices(op.schema(), *stack);
  count_launch(op.schema().name());
  c10::IValue* arguments = stack->data() + stack->size() - op.schema().arguments().size();
  if (arguments[0].toTensor().scalar_type() != at::kFloat || !is_number(arguments[1]))
    return run_on_host(op, stack);
  const float reciprocal = 1 / arguments[1].toTensor().item<float>();
  arguments[1] = at::native::wrapped_scalar_tensor(static_cast<double>(reciprocal));
  const std::string name = op.schema().name().ends_with("_") ? "aten::mul_" : "aten::mul";
  run_on_host(
      c10::Dispatcher::singleton().findSchemaOrThrow(name.c_str(), op.schema().overload_name().c_str()),
      stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  for (const char* name : {"div.Tensor", "div_.Tensor", "div.out"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&divide>());
}

}  // namespace
}  // namespace fake_device
