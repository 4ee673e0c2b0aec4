#pragma once
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <vector>

#include "adascale/graph/operand.h"
#include "adascale/graph/operators.h"

namespace adascale {

/// One node prepared to run: its operator is found and its operands are matched to the operator's schema.
class Step {
 public:
  /// Throws Error naming the node when the operator is unknown or an operand does not fit.
  Step(const Program& program, NodeId node);

  NodeId node() const { return node_; }
  /// Runs the operator; `results` holds its results. An exception of libtorch becomes one Error
  /// that names the node. With a `compute_type`, where the program states an fp32 result, fp32
  /// operands are cast to it and its results back to fp32; attention becomes products of that dtype
  /// where possible, or the operator in that dtype on a device that fuses it.
  void run(const Environment& environment, std::vector<c10::IValue>& results,
           std::optional<c10::ScalarType> compute_type = std::nullopt) const;

 private:
  void match_operands(const Node& node);
  void call(const Environment& environment, std::vector<c10::IValue>& results,
            std::optional<c10::ScalarType> compute_type) const;
  /// Replaces the operands by the results.
  void apply(std::vector<c10::IValue>& values) const;

  const Program& program_;
  NodeId node_;
  std::optional<c10::OperatorHandle> operator_;
  const PythonFunction* function_ = nullptr;
  bool is_grouped_product_, gives_float_;
  std::vector<Operand> operands_;
};

}  // namespace adascale
