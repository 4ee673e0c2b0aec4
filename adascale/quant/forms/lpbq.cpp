#include "adascale/quant/forms/lpbq.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/encoding.h"
#include "adascale/quant/exact_division.h"
#include "adascale/quant/fake_quantize.h"

namespace adascale {
namespace {

int64_t largest_integer(const Grid& grid) {
  return int64_t{1} << grid.block_scale_bits;
}

int64_t count_channels(at::IntArrayRef weight_sizes, const Grid& grid) {
  int64_t channels = 1;
  for (const int64_t axis : grid.scaled_axes()) channels *= weight_sizes[axis];
  return channels;
}

class LpbqForm final : public GridForm {
 public:
  std::string name() const override { return "lpbq"; }
  std::string description() const override {
    return fmt::format("integers whose groups' scales are integers times one float per channel ({})",
                       option("decompressed_bw"));
  }

  std::string describe(const Grid& grid) const override {
    return fmt::format("int{} symmetric LPBQ per group of {}", grid.bits, grid.group_size);
  }

  void check(const std::string& name, const Grid& grid, at::IntArrayRef) const override {
    ADA_CHECK(grid.per_group() && grid.symmetric,
              "{}: {} (LPBQ) needs groups on a symmetric grid; set {} and {}, or {}", name,
              option("decompressed_bw"), option("group_size"), option("symmetric"),
              option("decompressed_bw", 0));
  }

  // Not through the clamp of the blocks' integers.
  Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    const at::Tensor ideal = divide_exactly(max - min, grid.steps());
    const auto [per_block, per_channel] = block_scales(ideal.detach(), grid);
    const at::Tensor channel = straight_through(
        divide_exactly(ideal.amax({grid.group_axis}, /*keepdim=*/true), largest_integer(grid)), per_channel);
    const at::Tensor clamped = (ideal / channel).clamp(1, largest_integer(grid));
    return {.scale = straight_through(clamped, per_block) * channel};
  }

  Range search(const Range& widest, const Grid& grid, const RangeSearch& weight) const override {
    Grid apart = grid;  // the float that groups share is not known while each is searched
    apart.form = plain_form();
    apart.block_scale_bits = 0;
    const Range searched = search_range(widest, apart, weight.error_on(apart));
    return better_by(searched, widest, weight.error_on(grid),
                     [&](const at::Tensor& errors) { return errors.sum({grid.group_axis}, true); });
  }

  void keep(const Affine& affine, Encoding& encoding) const override {
    const auto [per_block, per_channel] = block_scales(affine.scale, encoding.grid);
    ADA_CHECK(at::equal(per_block * per_channel, affine.scale),
              "{}: values are too small for LPBQ with scales stored as {}; use float32 scales", encoding.name,
              c10::toString(encoding.grid.scale_dtype));
    encoding.parts = {{kBlockScaleInt, per_block.to(c10::ScalarType::Short)},
                      {kChannelScale, as_kept(per_channel, encoding.grid)}};
  }

  bool has_free_floats() const override { return true; }

  ScaleFloats floats(const Encoding& encoding) const override {
    return {.scale = encoding.parts.at(kChannelScale), .minimum = {}};
  }

  void replace_floats(Encoding& encoding, const ScaleFloats& floats) const override {
    at::Tensor& channel = encoding.parts.at(kChannelScale);
    channel = as_kept(as_stored(floats.scale, encoding.grid), encoding.grid);
    encoding.scale = encoding.parts.at(kBlockScaleInt).to(channel.scalar_type()) * channel;
  }

  RowScales row_scales() const override { return RowScales::kByKernels; }

  int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const override {
    return bytes_of_bits(count_scales(weight_sizes, grid), grid.block_scale_bits) +
           count_channels(weight_sizes, grid) * static_cast<int64_t>(c10::elementSize(grid.scale_dtype));
  }
};

}  // namespace

BlockScales block_scales(const at::Tensor& scale, const Grid& grid) {
  const at::Tensor largest = scale.amax({grid.group_axis}, /*keepdim=*/true);
  const at::Tensor per_channel = as_stored(divide_exactly(largest, largest_integer(grid)), grid);
  return {(scale / per_channel).round_().clamp_(1, largest_integer(grid)), per_channel};
}

const GridForm* lpbq_form() {
  static const LpbqForm form;
  return &form;
}

}  // namespace adascale
