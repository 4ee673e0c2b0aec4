#include "adascale/formats/encodings/record.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>

#include <algorithm>

#include "adascale/quant/forms/lpbq.h"
namespace adascale {
namespace {

/// From the split weight's shape to the weight's rank: [out, groups, 1] -> [out, groups].
at::Tensor joined(const at::Tensor& scales, const Grid& grid) {
  return grid.per_group() ? scales.squeeze(grid.group_axis + 1) : scales;
}

}  // namespace

int64_t block_axis_of(const Grid& grid, int64_t rank) {
  if (grid.per_group()) return grid.group_axis;
  if (grid.stack_axes.empty()) return -1;
  const auto own = grid.scaled_axes();
  int64_t axis = rank - 1;
  while (axis >= 0 && std::find(own.begin(), own.end(), axis) != own.end()) --axis;
  return axis;
}

bool has_one_block(const Grid& grid, at::IntArrayRef weight_sizes) {
  return grid.per_group() && grid.stack_axes.empty() && weight_sizes[grid.group_axis] == grid.group_size;
}

int64_t block_size_of(const Grid& grid, at::IntArrayRef weight_sizes) {
  const int64_t axis = block_axis_of(grid, static_cast<int64_t>(weight_sizes.size()));
  if (axis < 0) return 0;
  return grid.per_group() ? grid.group_size : weight_sizes[axis];
}

EncodingRecord record_of(const Encoding& encoding) {
  const Grid& grid = encoding.grid;
  EncodingRecord record{.name = encoding.name,
                        .bits = grid.bits,
                        .symmetric = grid.symmetric,
                        .is_signed = grid.symmetric,
                        .channel_axis = grid.channel_axis};
  record.scale = joined(encoding.scale, grid).to(at::kFloat);
  record.lowest = joined(encoding.offset.to(at::kLong), grid) + grid.qmin();
  if (!grid.per_channel()) {
    record.scale = record.scale.reshape({});
    record.lowest = record.lowest.reshape({});
  }
  if (has_one_block(grid, encoding.codes.sizes())) return record;
  record.block_axis = block_axis_of(grid, encoding.codes.dim());
  record.block_size = block_size_of(grid, encoding.codes.sizes());
  if (grid.form == lpbq_form()) {
    record.block_scale = joined(encoding.parts.at(kBlockScaleInt), grid).to(at::kLong);
    record.channel_scale = joined(encoding.parts.at(kChannelScale), grid).to(at::kFloat);
    record.block_scale_bits = grid.block_scale_bits;
  }
  return record;
}

EncodingRecord record_of(const ActivationQuantizer& quantizer, const std::string& name) {
  const Grid grid{.bits = quantizer.bits, .symmetric = quantizer.symmetric};
  EncodingRecord record{.name = name, .bits = quantizer.bits, .symmetric = quantizer.symmetric};
  record.scale = at::full({}, quantizer.encoding->scale, at::kFloat);
  record.lowest = at::full({}, grid.qmin() + quantizer.encoding->offset, at::kLong);
  return record;
}

}  // namespace adascale
