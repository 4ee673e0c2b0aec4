#pragma once

namespace adascale {

/// How the learnables of a weight move in training. Recipes name it, the kernels do it; for
/// tensors tune/adam and tune/signed_steps do.
enum class UpdateRule {
  kStay,    ///< they don't: the start is the result
  kAdam,    ///< Adam (arXiv 1412.6980) with 0.9, 0.999 and 1e-8
  kSigned,  ///< signed steps (signSGD, arXiv 1802.04434): p -= rate * sign(gradient) * length
};

}  // namespace adascale
