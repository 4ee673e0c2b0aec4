#pragma once
#include <string>
#include <unordered_map>

#include "adascale/graph/program.h"

namespace adascale {

/// "L['self'].encoder.layer[0]" -> "encoder.layer.0"; "" for the root; dotted names stay as they are.
std::string dotted_path(const std::string& path);

/// Builds Program::calls from the `nn_module_stack` metadata of the nodes, outermost module first.
class ModuleStackReader {
 public:
  /// Makes the root call, id 0.
  explicit ModuleStackReader(Program& program);
  /// The innermost call of "key,path,type;key,path,type;..."; the root for an empty or synthetic stack.
  CallId innermost(const std::string& stack);

 private:
  CallId enter(CallId parent, const std::string& key, const std::string& path, const std::string& type);

  Program& program_;
  std::unordered_map<std::string, CallId> stacks_;  // stack text -> innermost call
  std::unordered_map<std::string, CallId> keys_;
};

/// "model.py:12", the innermost line of a Python stack trace that is not PyTorch's own;
/// empty when there is none.
std::string innermost_source(const std::string& stack_trace);

}  // namespace adascale
