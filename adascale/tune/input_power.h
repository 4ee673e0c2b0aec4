#pragma once
#include <unordered_map>
#include <vector>

#include "adascale/sim/quantsim.h"
#include "adascale/tune/team.h"

namespace adascale {

/// The mean square of every input channel of some layers, and the mean where asked, over the batches it watches: the cost
/// of a weight's error in the layer's output grows with them. A layer called twice counts both calls. In a stack of experts
/// each one's mean is over the tokens that it got, and over 32 more tokens like those of all experts: the fewer it got, the
/// more it resembles the others.
class InputPower {
 public:
  /// `weights`: indices of the sim's, which must outlive it. `sums`: batches are added in turn to so many sums, and these
  /// then: one for each batch of a step, so that a team's processes add as one would. `has_means`: for mean() too.
  InputPower(const QuantizationSimModel& sim, const std::vector<int32_t>& weights, int64_t sums,
             bool has_means = false);
  /// Before each node of the FP model. `mask`: padding_mask, whose padding does not count.
  void watch(int64_t batch, NodeId node, const Environment& environment, const at::Tensor& mask);
  /// Behind the last batch.
  void add_over(Team& team);
  /// For each of the weights, fp32, of a shape that broadcasts to the weight's; ones
  /// where no input was seen.
  std::vector<at::Tensor> mean_squares() const;
  /// The mean of every input channel until now, for the weight at `place` of those given; undefined where none was seen.
  at::Tensor mean(size_t place) const;

 private:
  struct Layer {
    int32_t weight;
    std::vector<at::Tensor> sums;  ///< [parts, moments, channels]; one after add_over
    at::Tensor counts;  ///< of positions, fp64 [parts] on the host; parts: experts of a stack, else 1
  };
  struct Sums;
  enum Moment : int64_t { kSquare, kValue };

  at::Tensor moments_of(const at::Tensor& rows) const;
  Sums sums_of_each(const std::vector<at::Tensor>& rows) const;
  Sums sums_of(const Layer& layer, const Node& node, const Environment& environment,
               const at::Tensor& mask) const;
  at::Tensor mean_of(Moment moment, const Layer& seen) const;

  const QuantizationSimModel& sim_;
  bool has_means_;
  std::vector<Layer> layers_;
  std::unordered_map<NodeId, size_t> layer_of_;
};

}  // namespace adascale
