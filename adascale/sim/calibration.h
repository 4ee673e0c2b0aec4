#pragma once
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "adascale/sim/activation_quantizer.h"

namespace adascale {

/// The data gathered by compute_encodings: one range analyzer per activation quantizer.
class Calibration {
 public:
  using MakeAnalyzer = std::function<std::unique_ptr<RangeAnalyzer>()>;
  /// Weights on their grids are kept for all calls, up to `kept_bytes` of them.
  Calibration(const Program& program, size_t quantizers, const MakeAnalyzer& make_analyzer,
              int64_t kept_bytes);

  /// One more tensor for quantizer `index`. Throws (user) on NaN. Values that stand
  /// for minus infinity (an additive mask) turn the quantizer off, since no grid holds
  /// both them and the others.
  void observe(size_t index, const ActivationQuantizer& quantizer, const at::Tensor& x);

  /// The quantizers with their encodings, or the reason why one is off: quantizers without any
  /// values are, and one line of the log names them. Throws (user) if nothing was observed.
  std::vector<ActivationQuantizer> finish(std::vector<ActivationQuantizer> quantizers) const;

  /// A weight that is not folded yet, on its grid; `find` computes it where it is not kept.
  at::Tensor weight(int32_t index, const std::function<at::Tensor()>& find);
  void forget_weights() { weights_.clear(); }

  /// The model runs once more.
  void count_call() { ++calls_; }
  int64_t calls() const { return calls_; }

 private:
  bool is_reached(size_t index) const { return seen_[index] || !off_reasons_[index].empty(); }

  const Program& program_;
  int64_t calls_ = 0, kept_bytes_;
  std::unordered_map<int32_t, at::Tensor> weights_;
  std::vector<std::unique_ptr<RangeAnalyzer>> analyzers_;
  std::vector<bool> seen_;
  std::vector<std::string> off_reasons_;
};

}  // namespace adascale
