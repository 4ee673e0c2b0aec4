#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

namespace adascale {

/// p -= rate * sign(gradient) * length: gradient descent that uses only directions (signSGD, arXiv
/// 1802.04434), so that one rate holds for blocks whose gradients differ a thousandfold.
class SignedSteps {
 public:
  /// `lengths`: one tensor per parameter that broadcasts to it; empty: 1 each.
  SignedSteps(std::vector<at::Tensor> parameters, std::vector<at::Tensor> lengths, double rate);
  /// One step from the parameters' gradients, which are cleared; the rate is the constructor's times `decay`.
  void step(double decay);

 private:
  std::vector<at::Tensor> parameters_, lengths_;
  double rate_;
};

}  // namespace adascale
