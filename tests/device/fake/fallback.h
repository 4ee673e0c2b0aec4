#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

namespace fake_device {

/// Runs a CPU operator on the arguments on the stack, the device's tensors as aliases, and leaves
/// its results on the device. Nothing is counted.
void run_on_host(const c10::OperatorHandle& op, torch::jit::Stack* stack);

/// Throws where CUDA would: an argument on the CPU beside one on the device. CPU tensors without
/// dimensions pass as numbers.
void check_devices(const c10::FunctionSchema& schema, const torch::jit::Stack& stack);

}  // namespace fake_device
