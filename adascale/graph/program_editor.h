#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// Changes a program and the document it was read from together, so that the saved program is
/// the one that runs. Ids stay valid until finish(), which renumbers them. Nodes of nested
/// graphs cannot be edited.
class ProgramEditor {
 public:
  /// `program` must outlive the editor; its document is copied.
  explicit ProgramEditor(Program& program);
  ~ProgramEditor();

  /// A new parameter, which `node` reads as its operand `operand`, placed after its operand `after`.
  void add_parameter(NodeId node, const std::string& operand, const std::string& name,
                     const at::Tensor& tensor, const std::string& after);
  /// Every reader of `from`, a result of `node`, reads `to` instead; the node is removed.
  void bypass(NodeId node, ValueId from, ValueId to);
  /// Removes the state that `reader` reads, and those buffers of the module holding the tensor
  /// `name` that nothing reads (a norm's count of batches).
  void remove_inputs_under(const std::string& name, const Node& reader);
  /// Renumbers nodes, values and calls, and gives the program its new document.
  void finish();

 private:
  void remove_input(size_t index);
  void erase_nodes();
  void erase_calls();
  void erase_values();

  Program& program_;
  std::unique_ptr<nlohmann::json> document_;
  std::vector<bool> node_is_dead_;
  std::vector<std::string> dead_names_;  ///< of values in the document
};

}  // namespace adascale
