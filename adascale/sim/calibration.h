#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "adascale/sim/activation_quantizer.h"

namespace adascale {

/// The data gathered by compute_encodings: one range analyzer per activation quantizer.
class Calibration {
 public:
  using MakeAnalyzer = std::function<std::unique_ptr<RangeAnalyzer>()>;
  Calibration(const Program& program, size_t quantizers, const MakeAnalyzer& make_analyzer);

  /// One more tensor for quantizer `index`. Throws (user) on NaN. Values that stand
  /// for minus infinity (an additive mask) turn the quantizer off, since no grid holds
  /// both them and the others.
  void observe(size_t index, const ActivationQuantizer& quantizer, const at::Tensor& x);

  /// The quantizers with their encodings, or the reason why one is off: quantizers without any
  /// values are, and one line of the log names them. Throws (user) if nothing was observed.
  std::vector<ActivationQuantizer> finish(std::vector<ActivationQuantizer> quantizers) const;

  /// The model runs once more.
  void count_call() { ++calls_; }
  int64_t calls() const { return calls_; }

 private:
  bool is_reached(size_t index) const { return seen_[index] || !off_reasons_[index].empty(); }

  const Program& program_;
  int64_t calls_ = 0;
  std::vector<std::unique_ptr<RangeAnalyzer>> analyzers_;
  std::vector<bool> seen_;
  std::vector<std::string> off_reasons_;
};

}  // namespace adascale
