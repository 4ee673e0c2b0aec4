#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "adascale/graph/program.h"
#include "adascale/io/argument_reader.h"
#include "adascale/io/module_stack.h"

namespace adascale {

/// Reads the graph and the signature of an export document into a Program. Graphs nested under
/// torch.no_grad() are inlined, so that later code knows one flat list of nodes.
///
/// Throws Error, and nlohmann's exceptions for fields that are missing or of another type;
/// `place()` then tells where.
class GraphReader {
 public:
  /// `document` must outlive the reader.
  GraphReader(Program& program, const nlohmann::json& document);
  void read();
  /// The node or input being read: "node 'linear_3'".
  const std::string& place() const { return place_; }

 private:
  struct Frame {  ///< one (sub)graph while it is read
    const nlohmann::json& graph;
    std::string pointer;
    std::string prefix;  ///< makes names unique: "submod_1."
    bool grad_enabled;
    Scope scope;
  };

  void read_input(const nlohmann::json& spec, Frame& frame);
  void read_user_input(const nlohmann::json& argument, Frame& frame);
  void read_state_input(ProgramInput::Kind kind, const nlohmann::json& spec, const char* name_field,
                        Frame& frame);
  void read_nodes(Frame& frame);
  void read_node(const nlohmann::json& node, int32_t position, Frame& frame);
  void inline_graph(const nlohmann::json& node, int32_t position, size_t graph_operand, bool grad_enabled,
                    Frame& outer);
  NodeOutput read_output(const nlohmann::json& output, Frame& frame);
  void read_user_outputs(const nlohmann::json& specs, const Frame& frame);

  ValueId add_tensor(const std::string& name, Frame& frame);
  ValueId add_symbol(const std::string& name, Frame& frame);
  ValueId add_value(Value value, const std::string& name, Frame& frame);
  Dim read_dim(const nlohmann::json& size);
  std::string unique(std::unordered_set<std::string>& taken, const std::string& prefix,
                     const std::string& name);

  Program& program_;
  const nlohmann::json& document_;
  ModuleStackReader stacks_;
  std::unordered_map<std::string, Dim> dims_;  // by sympy expression
  std::unordered_set<std::string> node_names_, value_names_;
  std::string place_;
};

}  // namespace adascale
