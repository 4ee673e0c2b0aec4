#include "adascale/graph/operators.h"

namespace adascale {

std::optional<c10::OperatorHandle> find_operator(const std::string& target) {
  const std::string prefix = "torch.ops.";
  if (target.rfind(prefix, 0) != 0) return std::nullopt;
  const size_t space = prefix.size(), name = target.find('.', space), overload = target.rfind('.');
  if (name == std::string::npos || overload == name) return std::nullopt;
  const std::string overload_name = target.substr(overload + 1);
  return c10::Dispatcher::singleton().findSchema(
      {target.substr(space, name - space) + "::" + target.substr(name + 1, overload - name - 1),
       overload_name == "default" ? "" : overload_name});
}

bool is_runnable(const std::string& target) {
  return find_python_function(target) || find_operator(target);
}

}  // namespace adascale
