#pragma once
#include <map>
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// One call's user inputs, flat, in the program's order; constants fixed at capture included.
using Inputs = std::vector<c10::IValue>;
/// The program's flat outputs.
using Outputs = std::vector<c10::IValue>;

/// Inputs from tensors only: by position, or by name (`Program::user_inputs()`). Errors list
/// missing and unknown names.
Inputs bind_inputs(const Program& program, const std::vector<at::Tensor>& tensors);
Inputs bind_inputs(const Program& program, const std::map<std::string, at::Tensor>& tensors);

/// Copies on the host, where recorded inputs wait: a loader may reuse one buffer for all batches.
Inputs copy_to_host(Inputs inputs);

/// Throws (user), naming the input with NaN: fake-quantization turns NaN into a finite number.
void check_no_nan(const Program& program, const Inputs& inputs);

}  // namespace adascale
