#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// The values alive at some point of a run, by ValueId.
class Environment {
 public:
  explicit Environment(const Program& program) : slots_(program.values.size()), set_(program.values.size()) {}
  bool has(ValueId id) const { return set_[id]; }
  const c10::IValue& get(ValueId id) const { return slots_[id]; }  ///< the value must be there
  at::Tensor tensor(ValueId id) const { return slots_[id].toTensor(); }
  void set(ValueId id, c10::IValue value) { slots_[id] = std::move(value), set_[id] = true; }
  void erase(ValueId id) { slots_[id] = {}, set_[id] = false; }

 private:
  std::vector<c10::IValue> slots_;
  std::vector<bool> set_;
};

/// The values as tensors, undefined for a value that is not a tensor.
std::vector<at::Tensor> tensors_of(const std::vector<ValueId>& values, const Environment& environment);

/// Differences of a run from the plain program. All are optional.
struct RunHooks {
  /// The tensor of a parameter, buffer or constant, on any device; requested just before its first
  /// use and dropped after its last. Empty: Program::state.
  std::function<at::Tensor(ValueId)> load_state;
  /// Replaces a value just made by a node, or a user input just given; called only for tensors.
  std::function<at::Tensor(ValueId, const at::Tensor&)> transform;
  /// Sees the operands of a node before it runs.
  std::function<void(NodeId, const Environment&)> before;
  /// The dtype in which a node computes instead of fp32: its operands are cast to it, its results back.
  std::function<std::optional<c10::ScalarType>(NodeId)> compute_type;
};

class Dataflow;

/// Some nodes of a program, prepared to run many times: operators are resolved, arguments matched
/// to their schemas, and it is known when each value can be dropped.
///
/// Keeps a reference to the Program, which must outlive it.
class Interpreter {
 public:
  /// All nodes; wanted: the program's outputs.
  explicit Interpreter(const Program& program);
  /// `nodes` in execution order; `wanted` stay in the environment after the run.
  Interpreter(const Program& program, std::vector<NodeId> nodes, std::vector<ValueId> wanted);
  /// The same with the program's dataflow, for a caller that makes many.
  Interpreter(const Program& program, const Dataflow& dataflow, std::vector<NodeId> nodes,
              std::vector<ValueId> wanted);
  ~Interpreter();
  Interpreter(Interpreter&&) noexcept;

  const std::vector<NodeId>& nodes() const;
  /// Values that are read, but neither made here nor state: they must be in the
  /// environment. Execution order.
  const std::vector<ValueId>& feeds() const;
  const std::vector<ValueId>& wanted() const;

  /// Runs the nodes under the caller's grad mode. Feeds stay in the environment; values made here
  /// and not wanted are dropped after their last use. A feed that a node would overwrite is cloned
  /// first. Errors are one line naming the module, the node and libtorch's reason.
  void run(Environment& environment, const RunHooks& hooks = {}) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

/// Checks flat user inputs (constants included) against the program: count, dtype, rank, fixed
/// sizes, ranges and equality of symbolic sizes. Throws one Error with all objections.
void check_inputs(const Program& program, const std::vector<c10::IValue>& inputs);

/// Checks flat user inputs, moves them to the program's device and puts them into the environment;
/// applies hooks.transform to float tensors.
void feed_inputs(const Program& program, const std::vector<c10::IValue>& inputs, Environment& environment,
                 const RunHooks& hooks = {});

/// The program's flat outputs from the environment of a finished run.
std::vector<c10::IValue> collect_outputs(const Program& program, const Environment& environment);

/// check, feed, run everything, collect.
std::vector<c10::IValue> run_program(const Program& program, const std::vector<c10::IValue>& inputs,
                                     const RunHooks& hooks = {});

}  // namespace adascale
