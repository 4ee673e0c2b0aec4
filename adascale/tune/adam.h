#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace adascale {

/// Adam (arXiv 1412.6980) without weight decay over tensors that share a learning rate; beta 0.9
/// and 0.999, epsilon 1e-8.
class Adam {
 public:
  Adam(std::vector<at::Tensor> parameters, double learning_rate);
  /// One update from the parameters' gradients, which are cleared; the rate is the
  /// constructor's times `decay`.
  void step(double decay);
  /// What a step leaves for the next one beside the parameters: written into, it goes on from there.
  std::vector<at::Tensor> state() const;

 private:
  std::vector<at::Tensor> parameters_, first_moments_, second_moments_, steps_;
  double learning_rate_;
};

}  // namespace adascale
