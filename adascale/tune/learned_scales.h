#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "adascale/quant/forms/form.h"
#include "adascale/sim/quantsim.h"

namespace adascale {

/// Weights of a simulation whose codes stay and whose scales learn, and float minima where they have these:
///
///   scale e^theta,  minimum e^(theta + phi / 4)
///
/// with a theta, and a phi, for each of the floats that these are multiples of (quant/forms/form.h). So theta lengthens
/// all weights of a float from zero. A minimum moves all of them alike: with a whole phi, 4 and 5 bits got worse in
/// training (docs/accuracy.md).
///
/// Autograd ends at the layers. A scale of a whole output channel takes its gradient from the layer's output y, which it
/// multiplies: of its logarithm, sum dL/dy y; there the weight has none, which saves a product as large as the forward one.
/// All others take it from the weight's gradient.
class LearnedScales {
 public:
  /// `weights`: indices of sim.weights(), folded, on grids whose floats are free.
  LearnedScales(const QuantizationSimModel& sim, const std::vector<int32_t>& weights);

  /// All theta, then all phi, of the floats' dtypes and shapes, on the program's device; they collect gradients.
  std::vector<at::Tensor> changes() const;

  /// The weight that is read as a program's state, as it is now: in bf16 where `type` is that, else in the model's dtype.
  /// Undefined: it is none of these. In grad mode its gradients are noted.
  at::Tensor load(ValueId state, c10::ScalarType type);
  /// Notes a layer's output in grad mode; what the layer's readers get.
  at::Tensor watch(ValueId value, const at::Tensor& made);
  /// Adds what has come back to weights to the changes' gradients. `of_all`: no more comes; the rest is dropped.
  void collect(bool of_all);

  /// Floats as files hold them; the changes are 0 again.
  void round_to_stored();
  /// By index of sim.weights().
  std::map<int32_t, Encoding> encodings() const;

 private:
  /// A weight that was handed out, and what it was made of.
  struct Leaf {
    Encoding now;
    at::Tensor weight;
  };
  struct One {
    int32_t weight;
    Encoding encoding;
    at::Tensor scale, minimum;  ///< on the device, as they started; minimum: undefined without
    ScaleFloats change;         ///< theta and phi
    int64_t in_a_row = 1;       ///< so many groups have the same float
    bool by_output;
    std::vector<Leaf> leaves;

    void start(c10::Device device);
    ScaleFloats factors() const;
    at::Tensor for_groups(const at::Tensor& of_floats) const;
    at::Tensor for_floats(const at::Tensor& of_groups) const;
    Encoding now() const;
    void add(const Leaf& leaf) const;
  };

  std::vector<One> all_;
  std::map<ValueId, size_t> by_state_, by_output_;  // in all_
};

}  // namespace adascale
