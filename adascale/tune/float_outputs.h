#pragma once
#include <functional>
#include <optional>
#include <vector>

#include "adascale/graph/interpreter.h"
#include "adascale/sim/quantsim.h"
#include "adascale/tune/activation_store.h"

namespace adascale {

/// The full-precision model's outputs for batches that come again and again. All nodes up to `end` run once for a batch:
/// what later nodes read of them is kept, so that only these run again.
class FloatOutputs {
 public:
  using ComputeType = std::function<std::optional<c10::ScalarType>(NodeId)>;

  /// `nodes`: all that `output` needs, in execution order. `type`: as in RunHooks.
  FloatOutputs(const QuantizationSimModel& sim, const std::vector<NodeId>& nodes, NodeId end, ValueId output,
               ComputeType type, ActivationStore store);
  FloatOutputs(const FloatOutputs&) = delete;  // its hooks know this one

  /// What nodes up to `end` gave for a batch, of an environment that may have it: they need not run.
  void take(size_t number, const Environment& there);
  /// `number` tells batches apart.
  at::Tensor of(size_t number, const Inputs& batch);

 private:
  std::vector<c10::IValue>& kept(size_t number);

  const QuantizationSimModel& sim_;
  ValueId output_;
  Interpreter behind_, before_;
  RunHooks hooks_;
  ActivationStore store_;
  std::vector<std::vector<c10::IValue>>
      kept_;  ///< by batch, in the order of before_.wanted(); empty: not run yet
};

}  // namespace adascale
