#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "adascale/quant/affine.h"
#include "adascale/quant/encoding.h"
#include "adascale/quant/grid.h"
#include "adascale/quant/row_layout.h"

namespace adascale {

/// The state of an AdaScaleQuantizer: a frozen weight, its grid and start range, and the
/// learnables, all on the weight's device. If the channels are not the weight's first axis, it is a
/// copy laid out in rows (row_layout.h), and so are the other tensors.
struct AdaScaleState {
  at::Tensor w;  ///< split in groups
  std::vector<int64_t> weight_sizes;
  c10::ScalarType source_dtype = c10::ScalarType::Float;
  Grid grid;
  Range start;
  at::Tensor beta, gamma, s2, s3;  ///< contiguous
  at::Tensor s4;                   ///< undefined without an input axis
};

/// What the learnables make of the start range, as the grid stores it; differentiable in beta and gamma.
Affine learned_affine(const AdaScaleState& state);

/// A weight on its grid, fp32 (fp64 for an fp64 weight), split in groups, with the affine that put it there.
struct FakeQuantized {
  at::Tensor weight;
  Affine affine;
};

/// AdaScale's weight quantizer: FlexRound's learned division (arXiv 2306.00317, eq. 2) and
/// OmniQuant's learned weight clipping (arXiv 2308.13137, eq. 2), as AIMET combines them.
///
///   W'      = W / exp(s2) / exp(s3) [/ exp(s4)]
///   scale   = (exp(gamma)*max - exp(beta)*min) / (qmax - qmin)
///   Ŵ       = scale * clamp(round(W'/scale), qmin, qmax)                               symmetric
///
///   offset  = round(exp(beta)*min/scale)                                               asymmetric
///   Ŵ       = scale * clamp(round(W'/scale), offset, offset + 2^b - 1)
///
///   minimum = exp(beta)*min                                                            with a float minimum
///   Ŵ       = scale * clamp(round((W'-minimum)/scale), 0, 2^b - 1) + minimum
///
/// The grid's form (forms/form.h) stores scales in its own way, and its own numbers take the place of
/// the integers; the formulas are those of `int` and `minimum`. Gradients pass straight through the rounding to stored values.
///
/// Every learnable starts at 0, so that w_dq starts as round-to-nearest, exactly. Learnables,
/// scale and offset are fp32 whatever the weight's dtype (fp64 for an fp64 weight: gradient
/// checks). W, min and max are frozen.
class AdaScaleQuantizer {
 public:
  /// `weight` (kept by reference where its channels come first, never written); `start` of shape Q;
  /// `input_axis` >= 0 adds s4, one value per index along that axis of the weight (Conv2d: 1), -1 for none.
  AdaScaleQuantizer(at::Tensor weight, const Grid& grid, const Range& start, int64_t input_axis = -1);

  /// w_dq, of the weight's shape and dtype; differentiable in the learnables. Without gradients the
  /// kernels compute it where they can (weight_pass.h): the same but for the last bit of an
  /// exponential, which may move a code at a border.
  at::Tensor quantized_weight() const;
  /// The source's layout of a tensor of the state's; a view.
  at::Tensor in_source_layout(const at::Tensor& weight) const { return layout_.from_rows(weight); }
  /// beta, gamma: the scale's learnables, of shape Q.
  std::vector<at::Tensor> scale_learnables() const { return {state_.beta, state_.gamma}; }
  /// s2 (weight's shape, split in groups), s3 (Q), s4 if any.
  std::vector<at::Tensor> rounding_learnables() const;
  /// For each of rounding_learnables(), the change worth about one code: code_length/|W|, at most 10, for s2, at
  /// the start scale; a fifth for s3 and s4, which move a whole row or column.
  std::vector<at::Tensor> code_steps() const;
  std::vector<at::Tensor> learnables() const;
  /// Overwrites the learnables with earlier values, in learnables() order. Throws
  /// (user) when shapes don't fit.
  void set_learnables(const std::vector<at::Tensor>& values);

  /// Codes, scale and offset of the present state: dequantize(encode(name)) == quantized_weight() without
  /// gradients, bit for bit.
  Encoding encode(const std::string& name) const;
  const AdaScaleState& state() const { return state_; }
  /// W' of the weight's shape, fp32, which AIMET folds into the weight; only tests that
  /// compare with AIMET need it.
  at::Tensor divided_weight() const;

 private:
  AdaScaleState state_;
  Grid source_grid_;
  RowLayout layout_;

  FakeQuantized quantized() const;
  at::Tensor divide() const;  ///< W', split in groups
};

}  // namespace adascale
