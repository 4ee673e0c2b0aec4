#include "adascale/quant/forms/superblocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/copysign.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/affine.h"
#include "adascale/quant/encoding.h"
#include "adascale/quant/exact_division.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/refine.h"

namespace adascale {
namespace {

/// Scales or minima: one integer a group, shape Q, in the dtype of the values, and one float a
/// superblock, representable in grid.scale_dtype.
struct SuperblockParts {
  at::Tensor integers, floats;
};

int64_t groups_in_superblock(const Grid& grid) {
  return grid.superblock_size / grid.group_size;
}

/// [.., groups, ..] -> [.., superblocks, groups of one, ..]
at::Tensor split_superblocks(const at::Tensor& q, const Grid& grid) {
  const int64_t groups = groups_in_superblock(grid);
  return q.unflatten(grid.group_axis, {q.size(grid.group_axis) / groups, groups});
}

at::Tensor repeated(const at::Tensor& floats, const Grid& grid) {
  return floats.repeat_interleave(groups_in_superblock(grid), grid.group_axis);
}

SuperblockParts unsigned_parts(const at::Tensor& values, int64_t least, const Grid& grid) {
  const int64_t most = (int64_t{1} << grid.block_scale_bits) - 1;
  const at::Tensor largest = split_superblocks(values, grid).amax({grid.group_axis + 1});
  const at::Tensor floats = as_stored(divide_exactly(largest, static_cast<double>(most)), grid);
  return {(values / repeated(floats, grid)).round_().clamp_(least, most), floats};
}

SuperblockParts signed_parts(const at::Tensor& values, const Grid& grid) {
  const int64_t most = int64_t{1} << (grid.block_scale_bits - 1);
  const at::Tensor split = split_superblocks(values, grid);
  const at::Tensor at_largest = split.abs().argmax(grid.group_axis + 1, /*keepdim=*/true);
  const at::Tensor largest = split.gather(grid.group_axis + 1, at_largest).squeeze(grid.group_axis + 1);
  const at::Tensor floats = as_stored(largest / -most, grid);
  const at::Tensor ratio = values / repeated(floats, grid);
  const at::Tensor integers = ratio.round().clamp_(-most, most - 1);
  return {at::where(integers == 0, at::copysign(at::ones_like(ratio), ratio), integers), floats};
}

/// Nearest integers for the float that just holds the largest: scale / (2^bits - 1) of them when
/// unsigned, -scale / 2^(bits-1) when signed, where the integers reach farther below. None is 0: a
/// scale divides.
SuperblockParts scale_parts(const at::Tensor& scale, const Grid& grid) {
  return grid.symmetric ? signed_parts(scale, grid) : unsigned_parts(scale, 1, grid);
}

/// The same for minima <= 0, of their absolute values; 0 is one of the integers.
SuperblockParts minimum_parts(const at::Tensor& minimum, const Grid& grid) {
  return unsigned_parts(minimum.abs(), 0, grid);
}

at::Tensor product(const SuperblockParts& parts, const Grid& grid) {
  return parts.integers * repeated(parts.floats, grid);
}

/// The same values, but that the largest of each superblock is `factor` times as long and no other is longer.
at::Tensor with_largest(const at::Tensor& values, double factor, const Grid& grid) {
  const at::Tensor length = values.abs();
  const at::Tensor largest = repeated(split_superblocks(length, grid).amax({grid.group_axis + 1}), grid);
  const at::Tensor end = largest * factor;
  return at::copysign(at::where(length == largest, end, length.minimum(end)), values);
}

Range range_of(const at::Tensor& scale, const at::Tensor& minimum, const Grid& grid) {
  if (grid.symmetric) return {scale * grid.qmin(), scale * grid.qmax()};
  return {minimum, minimum + scale * grid.steps()};
}

/// Tries longer and shorter floats of scales, then of minima: the groups' integers round otherwise then. A weight whose
/// importance outweighs all others', as of the input that makes a massive activation, gets its value almost exactly.
Range fit_floats(const Range& range, const Grid& grid, const RangeError& of_superblocks) {
  constexpr double kReach = 0.2, kStep = 0.0125, kFineStep = kStep / 8;
  at::Tensor scale = divide_exactly(range.max - range.min, grid.steps()), minimum = range.min;
  at::Tensor least = of_superblocks(range_of(scale, minimum, grid));
  const auto try_floats = [&](at::Tensor& values, double reach, double step) {
    const at::Tensor before = values;
    at::Tensor best = before;
    const auto trials = static_cast<int>(reach / step);
    for (int trial = -trials; trial <= trials; ++trial) {
      values = with_largest(before, 1 + step * trial, grid);
      const at::Tensor error = of_superblocks(range_of(scale, minimum, grid)), better = error < least;
      best = at::where(better, values, best);
      least = at::where(better, error, least);
    }
    values = best;
  };
  try_floats(scale, kReach, kStep);
  if (!grid.symmetric) try_floats(minimum, kReach, kStep);
  try_floats(scale, kStep, kFineStep);
  return range_of(scale, minimum, grid);
}

class SuperblockForm final : public GridForm {
 public:
  std::string name() const override { return "superblocks"; }
  RowScales row_scales() const override { return RowScales::kByForm; }
  std::string description() const override {
    return "integers whose groups' scales and minima are integers times floats of a superblock (gguf: "
           "K-quants)";
  }

  std::string describe(const Grid& grid) const override {
    return fmt::format("int{} {} per group of {}, superblocks of {}", grid.bits,
                       grid.symmetric ? "symmetric" : "with minimum", grid.group_size, grid.superblock_size);
  }

  void check(const std::string& name, const Grid& grid, at::IntArrayRef sizes) const override {
    ADA_CHECK(grid.per_group() && grid.superblock_size % grid.group_size == 0,
              "{}: superblocks of {} are not whole groups of {}; use a {} that divides them", name,
              grid.superblock_size, grid.group_size, option("group_size"));
    ADA_CHECK(grid.block_scale_bits >= 2 && grid.block_scale_bits <= 8,
              "{}: superblocks have scales of {} bits, expected 2 to 8", name, grid.block_scale_bits);
    const int64_t length = sizes[grid.group_axis];
    ADA_CHECK(length % grid.superblock_size == 0,
              "{}: {} {} is not a multiple of {}, the length of a superblock; use a grid of plain groups",
              name, axis_name(grid.group_axis, sizes.size()), length, grid.superblock_size);
  }

  Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    const at::Tensor ideal = divide_exactly(max - min, grid.steps());
    const SuperblockParts scales = scale_parts(ideal.detach(), grid);
    Affine affine{.scale = straight_through(ideal, product(scales, grid)),
                  .parts = {{kScaleInt, scales.integers}, {kScaleFloat, scales.floats}}};
    if (grid.symmetric) return affine;
    const SuperblockParts minima = minimum_parts(min.detach().clamp_max(0), grid);
    affine.minimum = straight_through(min, product(minima, grid).neg_().add_(0));  // files keep no -0.0
    affine.parts[kMinimumInt] = minima.integers;
    affine.parts[kMinimumFloat] = minima.floats;
    return affine;
  }

  at::Tensor symmetric_scale(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const override {
    return shorter_step(min, max, grid);
  }

  Range search(const Range& widest, const Grid& grid, const RangeSearch& weight) const override {
    Grid apart = grid;  // the floats that groups share are not known while each is searched
    apart.form = grid.symmetric ? plain_form() : minimum_form();
    apart.block_scale_bits = 0;
    apart.superblock_size = 0;
    const RangeError error = weight.error_on(apart);
    const Range searched =
        refine_range(search_range(widest, apart, error), weight.w, weight.importance, apart, error);
    const RangeError of_groups = weight.error_on(grid);
    const RangeError of_superblocks = [&](const Range& range) {
      return sum_superblocks(of_groups(range), grid);
    };
    const Range nearer =
        better_by(searched, widest, of_superblocks, [](const at::Tensor& sums) { return sums; });
    return fit_floats(nearer, grid, of_superblocks);
  }

  void keep(const Affine& affine, Encoding& encoding) const override {
    for (const auto& [name, part] : affine.parts)
      encoding.parts[name] = name == kScaleInt || name == kMinimumInt ? part.to(c10::ScalarType::Short)
                                                                      : as_kept(part, encoding.grid);
  }

  bool has_free_floats() const override { return true; }

  ScaleFloats floats(const Encoding& encoding) const override {
    const Parts& parts = encoding.parts;
    return {parts.at(kScaleFloat), encoding.minimum ? parts.at(kMinimumFloat) : at::Tensor()};
  }

  void replace_floats(Encoding& encoding, const ScaleFloats& floats) const override {
    const Grid& grid = encoding.grid;
    const auto replace = [&](const char* integers, const char* name, const at::Tensor& by) {
      at::Tensor& kept = encoding.parts.at(name);
      kept = as_kept(as_stored(by, grid), grid);
      return product({encoding.parts.at(integers).to(kept.scalar_type()), kept}, grid);
    };
    encoding.scale = replace(kScaleInt, kScaleFloat, floats.scale);
    if (encoding.minimum)
      encoding.minimum = replace(kMinimumInt, kMinimumFloat, floats.minimum).neg_().add_(0);
  }

  int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const override {
    const int64_t kinds = grid.symmetric ? 1 : 2;
    const int64_t superblocks = c10::multiply_integers(weight_sizes) / grid.superblock_size;
    const auto float_bytes = static_cast<int64_t>(c10::elementSize(grid.scale_dtype));
    return kinds * (bytes_of_bits(count_scales(weight_sizes, grid), grid.block_scale_bits) +
                    superblocks * float_bytes);
  }

 private:
  static at::Tensor sum_superblocks(const at::Tensor& errors, const Grid& grid) {
    const at::Tensor sums = split_superblocks(errors, grid).sum({grid.group_axis + 1});
    return sums.repeat_interleave(groups_in_superblock(grid), grid.group_axis);
  }
};

}  // namespace

const GridForm* superblock_form() {
  static const SuperblockForm form;
  return &form;
}

}  // namespace adascale
