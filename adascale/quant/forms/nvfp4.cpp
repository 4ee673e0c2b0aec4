#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "adascale/quant/exact_division.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/forms/e2m1.h"
#include "adascale/quant/forms/minifloat.h"

namespace adascale {
namespace {

const double kSmallestBlockScale = std::ldexp(1.0, kE4M3.least_exponent - kE4M3.mantissa_bits);

/// NVIDIA's NVFP4: E2M1 in groups of 16 with an E4M3 scale, under one float that the weights share which
/// read the same value. The largest |w| of these is at the largest scale of the largest magnitude.
class Nvfp4Form final : public E2m1Form {
 public:
  Nvfp4Form() : E2m1Form(16) {}
  std::string name() const override { return "nvfp4"; }
  std::string description() const override {
    return "4-bit floats (E2M1) in groups of 16 whose scale is an 8-bit float (E4M3) times one float "
           "of the layers that read the same value";
  }

  bool is_shared_by_siblings() const override { return true; }
  double shared_scale(double largest) const override {
    return static_cast<float>(std::max(largest, smallest_scale(at::kFloat)) /
                              (kE2M1.largest * kE4M3.largest));
  }

  Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    const at::Tensor ideal = divide_exactly(max - min, 12);
    at::Tensor block = divide_exactly(ideal.detach(), grid.shared_scale);
    round_to(block, block, kE4M3).clamp_(kSmallestBlockScale, kE4M3.largest);
    const at::Tensor scale = (block * grid.shared_scale).to(at::kFloat).to(ideal.scalar_type());
    return {.scale = straight_through(ideal, scale)};
  }

  int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const override {
    return count_scales(weight_sizes, grid) + static_cast<int64_t>(sizeof(float));
  }
};

}  // namespace

const GridForm* nvfp4_form() {
  static const Nvfp4Form form;
  return &form;
}

}  // namespace adascale
