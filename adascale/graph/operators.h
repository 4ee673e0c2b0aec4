#pragma once
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// A scalar function of Python that exports with dynamic shapes call on sizes:
/// `_operator.floordiv`, `math.trunc`, `torch.sym_max`... Numbers follow Python: an int stays int;
/// floordiv and mod round towards minus infinity.
struct PythonFunction {
  size_t operands;  ///< their number
  c10::IValue (*call)(const std::vector<c10::IValue>& operands);
};

/// nullptr when the target is not such a function.
const PythonFunction* find_python_function(const std::string& target);

/// The dispatcher's operator for "torch.ops.<namespace>.<name>.<overload>"; nothing
/// when this process has none.
std::optional<c10::OperatorHandle> find_operator(const std::string& target);

/// True when the interpreter can run a node with this target.
bool is_runnable(const std::string& target);

}  // namespace adascale
