#include <torch/library.h>

#include "device/fake/counters.h"
#include "device/fake/fallback.h"

namespace fake_device {
namespace {

using torch::jit::Stack;

void convolution(const c10::OperatorHandle& op, Stack* stack) {
  check_devices(op.schema(), *stack);
  count_launch(op.schema().name());
  run_on_host(c10::Dispatcher::singleton().findSchemaOrThrow("aten::convolution", ""), stack);
}

void convolution_backward(const c10::OperatorHandle& op, Stack* stack) {
  check_devices(op.schema(), *stack);
  count_launch(op.schema().name());
  // The general operator also takes the bias's sizes, after gradient, input and weight.
  const auto first = stack->end() - static_cast<int64_t>(op.schema().arguments().size());
  const int64_t channels = first->toTensor().size(1);
  stack->insert(first + 3, c10::List<int64_t>({channels}));
  run_on_host(c10::Dispatcher::singleton().findSchemaOrThrow("aten::convolution_backward", ""), stack);
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("convolution_overrideable", torch::CppFunction::makeFromBoxedFunction<&convolution>());
  library.impl("convolution_backward_overrideable",
               torch::CppFunction::makeFromBoxedFunction<&convolution_backward>());
}

}  // namespace
}  // namespace fake_device
