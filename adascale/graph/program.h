#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <vector>

namespace adascale {

using ValueId = int32_t;  ///< index into Program::values
using NodeId = int32_t;   ///< index into Program::nodes, which are in execution order
using CallId = int32_t;   ///< index into Program::calls
inline constexpr int32_t kNone = -1;

/// One dimension of a value: a fixed size, or a symbol with the range of sizes the model accepts.
struct Dim {
  int64_t size = 0;    ///< the fixed size, or the example's when symbolic
  std::string symbol;  ///< empty when fixed; "s77", or an expression such as "Mul(16, s77)"
  int64_t min = 0, max = std::numeric_limits<int64_t>::max();
  bool is_fixed() const { return symbol.empty(); }
  bool takes(int64_t given) const { return is_fixed() ? given == size : given >= min && given <= max; }
};

enum class ValueKind { kTensor, kSymbol, kOther };  ///< kSymbol: an int, bool or float computed in the graph

/// A value on an edge of the graph.
struct Value {
  std::string name;
  ValueKind kind = ValueKind::kTensor;
  c10::ScalarType dtype = c10::ScalarType::Undefined;
  std::vector<Dim> sizes;
  NodeId producer = kNone;    ///< kNone: an input of the program
  int32_t input = kNone;      ///< then its index into Program::inputs
  std::vector<NodeId> users;  ///< in execution order, each once
  bool is_float_tensor() const { return kind == ValueKind::kTensor && c10::isFloatingType(dtype); }
};

/// An operand as written in the graph: a literal, a reference to a value, or a list of operands.
struct Argument {
  enum class Kind { kLiteral, kValue, kList };
  Kind kind = Kind::kLiteral;
  c10::IValue literal;  ///< dtype, layout and memory format as c10's own integers; None when empty
  ValueId value = kNone;
  std::vector<Argument> items;
};

struct NamedArgument {
  std::string name;  ///< the operator schema's argument name
  Argument argument;
};

/// One result of a node; a list result (split, chunk) binds several values.
struct NodeOutput {
  bool is_list = false;
  std::vector<ValueId> values;  ///< exactly one unless is_list; kNone: the result is not used
};

struct Node {
  std::string name;    ///< unique, e.g. "linear_3"
  std::string target;  ///< e.g. "torch.ops.aten.linear.default" or "_operator.mul"
  std::vector<NamedArgument> inputs;
  std::vector<NodeOutput> outputs;
  CallId call = kNone;       ///< the innermost module call it belongs to
  bool grad_enabled = true;  ///< false inside torch.no_grad()
  std::string graph_path;    ///< JSON pointer of the (sub)graph of Program::document it is written in
  int32_t position = 0;      ///< its index among the nodes of that (sub)graph
  std::string source;        ///< "file.py:12" where the model's author wrote it, if known

  /// "aten::linear" for an ATen node, the bare target otherwise.
  std::string op() const;
  /// The operand with that schema name; nullptr when the graph leaves the default.
  const Argument* input(const std::string& argument_name) const;
  /// Every value it reads, in order, each once.
  std::vector<ValueId> reads() const;
  /// Every value it makes.
  std::vector<ValueId> writes() const;
};

/// One call of a module; a module called twice has two (key suffix "@1").
struct ModuleCall {
  std::string key;   ///< unique, e.g. "L__self___encoder@1"
  std::string path;  ///< "" for the root, "encoder.layer.0" otherwise
  std::string type;  ///< "transformers.models.bert.modeling_bert.BertLayer"
  CallId parent = kNone;
  std::vector<CallId> children;
  std::vector<NodeId> nodes;  ///< all nodes inside, those of children included, in execution order
  /// The path, with "@1" for a second call and "(root)" for the root; reports and patterns use it.
  std::string label() const;
};

/// An input of the program, user's or state.
struct ProgramInput {
  enum class Kind { kParameter, kBuffer, kConstant, kUser };
  Kind kind = Kind::kUser;
  ValueId value = kNone;  ///< kNone: a user input that is a Python constant
  std::string name;  ///< fully qualified name of a parameter, buffer or constant; the argument's for a user's
  c10::IValue constant;  ///< the constant's value, for a user input fixed at capture
};

/// A batch norm that became part of the layer before it; both are named by ModuleCall::label().
struct FoldedBatchNorm {
  std::string name, into;
  /// State, by name, with which the model it came from computes the same with its norm
  /// in place: the layer's tensors, and a norm that is the identity or only adds the
  /// bias that the layer lacks.
  std::unordered_map<std::string, at::Tensor> source_state;
};

/// A model as torch.export captured it: nodes in execution order, values, the tree of
/// module calls, and the tensors.
///
/// Built by `io` (`load_program`, `parse_program`). Nested no_grad graphs are inlined. Plain
/// data; only `fold_batch_norms` changes the nodes, before anything holds ids, which stay valid
/// as long as the Program lives.
struct Program {
  std::vector<Node> nodes;
  std::vector<Value> values;
  std::vector<ModuleCall> calls;     ///< parents before children
  std::vector<ProgramInput> inputs;  ///< in the program's flat order
  std::vector<Argument> outputs;     ///< the user's outputs, flat: value references or literals

  /// Parameters, buffers and constants by name; tied weights are one tensor under several names.
  std::unordered_map<std::string, at::Tensor> state;
  /// The device of the computation, wherever its tensors are. They and the inputs are moved there
  /// when they are read; it replaces the devices that the graph names.
  c10::Device device = c10::Device(c10::DeviceType::CPU);
  /// The whole exported program that this was read from: `save_program` edits it and writes it back.
  std::shared_ptr<const nlohmann::json> document;
  std::vector<FoldedBatchNorm> folded_batch_norms;  ///< execution order

  std::vector<const ProgramInput*> user_inputs() const;  ///< those a caller must supply, constants included
  const ProgramInput* input_of(ValueId value) const;     ///< nullptr when the value is made by a node
  bool is_parameter(ValueId value) const;
  bool is_user_input(ValueId value) const;
  /// True for every value the program returns.
  bool is_output(ValueId value) const;
  ValueId find_value(const std::string& name) const;  ///< kNone when there is none
  /// "encoder.layer.0.fc1 (linear_3)": the name of a node in messages.
  std::string where(NodeId node) const;
};

/// Fills the derived fields from nodes, inputs and outputs: Value::producer, input and users,
/// ModuleCall::nodes and children.
void link(Program& program);

}  // namespace adascale
