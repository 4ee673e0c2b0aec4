#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "adascale/quant/exact_division.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/forms/e2m1.h"
#include "adascale/quant/forms/minifloat.h"

namespace adascale {
namespace {

// 2^127 is E8M0's largest scale; below 2^-60 there is no signal (smallest_scale).
const double kLargest = std::ldexp(1.0, 127);

/// MXFP4 of the OCP Microscaling Formats 1.0: E2M1 in groups of 32 with a power of two (E8M0) as scale.
class Mxfp4Form final : public E2m1Form {
 public:
  Mxfp4Form() : E2m1Form(32) {}
  std::string name() const override { return "mxfp4"; }
  std::string description() const override {
    return "4-bit floats (E2M1) in groups of 32 whose scale is a power of two (OCP MX)";
  }

  // OCP 6.3 takes floor(log2(largest |w|)) - 2 as the exponent. The largest is 6 times the ideal scale.
  Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    const at::Tensor ideal = divide_exactly(max - min, 12);
    const at::Tensor scale =
        power_of_two_below(ideal.detach() * 1.5).clamp_(smallest_scale(grid.scale_dtype), kLargest);
    // The exponent bits of NaN and infinity would be a number.
    return {.scale = straight_through(ideal, at::where(at::isfinite(ideal), scale, ideal.detach()))};
  }

  Range search(const Range& widest, const Grid& grid, const RangeSearch& weight) const override {
    const at::Tensor scale = scale_of(widest, grid, "weight");
    const RangeError error = weight.error_on(grid);
    const auto around = [&](double factor) { return Range{scale * (-6 * factor), scale * (6 * factor)}; };
    const auto alone = [](const at::Tensor& errors) { return errors; };
    return better_by(around(0.5), better_by(around(2), around(1), error, alone), error, alone);
  }

  int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const override {
    return count_scales(weight_sizes, grid);
  }
};

}  // namespace

const GridForm* mxfp4_form() {
  static const Mxfp4Form form;
  return &form;
}

}  // namespace adascale
