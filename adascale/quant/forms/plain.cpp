#include <ATen/TensorOperators.h>

#include "adascale/core/spelling.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/exact_division.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

class PlainForm final : public GridForm {
 public:
  std::string name() const override { return "int"; }
  std::string description() const override {
    return fmt::format("integers times a float scale, from an integer offset when asymmetric ({}, {})",
                       option("param_bw"), option("symmetric"));
  }

  bool is_asked_by_name() const override { return true; }
  bool has_free_floats() const override { return true; }

  std::string describe(const Grid& grid) const override {
    const std::string kind = fmt::format("int{} {}{}", grid.bits, grid.symmetric ? "symmetric" : "asymmetric",
                                         grid.signed_scale ? ", signed scales," : "");
    if (grid.per_group()) return fmt::format("{} per group of {}", kind, grid.group_size);
    return kind + (grid.per_channel() ? " per channel" : " per tensor");
  }

  Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    const at::Tensor ideal = divide_exactly(max - min, grid.steps());
    Affine affine{.scale = straight_through(ideal, as_stored(ideal.detach(), grid))};
    if (grid.symmetric) return affine;
    const at::Tensor position = min / affine.scale;
    affine.offset = straight_through(position, offset_from(position.detach(), grid));
    return affine;
  }

  at::Tensor symmetric_scale(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    return grid.signed_scale ? shorter_step(min, max, grid) : GridForm::symmetric_scale(min, max, grid);
  }

  Range search(const Range& widest, const Grid& grid, const RangeSearch& weight) const override {
    const RangeError error = weight.error_on(grid);
    const Range found = search_range(widest, grid, error);
    if (!grid.signed_scale) return found;
    const Range mirrored = search_range({-widest.min, -widest.max}, grid, error);
    return better_by(mirrored, found, error, [](const at::Tensor& errors) { return errors; });
  }

  RowScales row_scales() const override { return RowScales::kByKernels; }

  int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const override {
    const int64_t count = count_scales(weight_sizes, grid);
    return count * static_cast<int64_t>(c10::elementSize(grid.scale_dtype)) +
           (grid.symmetric ? 0 : bytes_of_bits(count, grid.bits));
  }
};

}  // namespace

const GridForm* plain_form() {
  static const PlainForm form;
  return &form;
}

}  // namespace adascale
