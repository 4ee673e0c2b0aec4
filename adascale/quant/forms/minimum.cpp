#include <ATen/TensorOperators.h>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/exact_division.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/refine.h"

namespace adascale {
namespace {

class MinimumForm final : public GridForm {
 public:
  std::string name() const override { return "minimum"; }
  bool has_free_floats() const override { return true; }
  RowScales row_scales() const override { return RowScales::kByForm; }
  std::string description() const override {
    return "integers from a float minimum <= 0 of each group, stored as scales are (gguf: Q4_1, Q5_1)";
  }

  std::string describe(const Grid& grid) const override {
    return fmt::format("int{} with minimum per group of {}", grid.bits, grid.group_size);
  }

  void check(const std::string& name, const Grid& grid, at::IntArrayRef) const override {
    ADA_CHECK(grid.per_group() && !grid.symmetric,
              "{}: a float minimum needs groups on an asymmetric grid; set {} and {}", name,
              option("group_size"), option("symmetric", false));
  }

  Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    const at::Tensor ideal = divide_exactly(max - min, grid.steps());
    const at::Tensor lowest = min.detach().clamp_max(0).to(grid.scale_dtype).to(min.scalar_type());
    return {.scale = straight_through(ideal, as_stored(ideal.detach(), grid)),
            .offset = {},
            .minimum = straight_through(min, lowest + 0)};  // files keep no -0.0
  }

  Range search(const Range& widest, const Grid& grid, const RangeSearch& weight) const override {
    const RangeError error = weight.error_on(grid);
    return refine_range(search_range(widest, grid, error), weight.w, weight.importance, grid, error);
  }

  int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const override {
    return 2 * count_scales(weight_sizes, grid) * static_cast<int64_t>(c10::elementSize(grid.scale_dtype));
  }
};

}  // namespace

const GridForm* minimum_form() {
  static const MinimumForm form;
  return &form;
}

}  // namespace adascale
