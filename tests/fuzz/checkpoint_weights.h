#pragma once
#include <ATen/ops/zeros.h>

#include "adascale/quant/forms/form.h"
#include "adascale/tune/saved_block.h"
#include "adascale/tune/saved_stage.h"

namespace adascale::fuzz {

/// The weights of the block that the seeds hold: one for each kind of stored numbers.
inline std::vector<ExpectedWeight> expected_weights() {
  const Grid groups{.bits = 4, .channel_axis = 0, .group_axis = 1, .group_size = 4};
  Grid shifted = groups, lpbq = groups, minimum = groups, superblocks = groups, fp4 = groups;
  shifted.symmetric = minimum.symmetric = superblocks.symmetric = false;
  lpbq.form = lpbq_form(), lpbq.block_scale_bits = 4;
  minimum.form = minimum_form(), minimum.scale_dtype = at::kHalf;
  superblocks.form = superblock_form(), superblocks.scale_dtype = at::kHalf;
  superblocks.block_scale_bits = 6, superblocks.superblock_size = 8;
  fp4.form = grid_form_named("nvfp4"), fp4.group_size = 16;
  return {{"plain", {.bits = 4, .channel_axis = 0}, {3, 2}, at::kFloat},
          {"tensor", {.bits = 16}, {2, 2}, at::kDouble},
          {"shifted", shifted, {2, 8}, at::kHalf},
          {"lpbq", lpbq, {2, 8}, at::kFloat},
          {"minimum", minimum, {2, 8}, at::kFloat},
          {"superblocks", superblocks, {2, 16}, at::kBFloat16},
          {"fp4", fp4, {1, 32}, at::kFloat}};
}

/// The last stage that a seed holds.
inline SavedStage expected_stage() {
  return {.iteration = 12, .start = "abc", .tensors = {at::zeros({2, 3}), at::zeros({})}};
}

}  // namespace adascale::fuzz
