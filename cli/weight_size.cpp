#include "cli/weight_size.h"

#include <c10/util/accumulate.h>

#include <set>
#include <utility>

namespace adascale {
namespace {

int64_t bytes_of_bits(int64_t count, int64_t bits) {
  return (count * bits + 7) / 8;
}

int64_t state_bytes(const Program& program) {
  std::set<std::pair<const void*, int64_t>> seen;
  int64_t bytes = 0;
  for (const auto& [name, tensor] : program.state) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    if (seen.insert({tensor.const_data_ptr(), size}).second) bytes += size;
  }
  return bytes;
}

}  // namespace

namespace {

/// Scales, and the offsets or minima beside them, of that many ranges.
int64_t scale_bytes(int64_t ranges, int64_t elements, int64_t channels, const Grid& grid) {
  const auto float_bytes = static_cast<int64_t>(c10::elementSize(grid.scale_dtype));
  if (grid.has_superblocks()) {
    const int64_t kinds = grid.float_minimum ? 2 : 1, superblocks = elements / grid.superblock_size;
    return kinds * (bytes_of_bits(ranges, grid.block_scale_bits) + superblocks * float_bytes);
  }
  if (grid.integer_block_scales())
    return bytes_of_bits(ranges, grid.block_scale_bits) + channels * float_bytes;
  if (grid.float_minimum) return 2 * ranges * float_bytes;
  return ranges * float_bytes + (grid.symmetric ? 0 : bytes_of_bits(ranges, grid.bits));
}

}  // namespace

int64_t packed_bytes(at::IntArrayRef weight_sizes, const Grid& grid) {
  const int64_t elements = c10::multiply_integers(weight_sizes);
  const int64_t ranges = c10::multiply_integers(scale_sizes(weight_sizes, grid));
  int64_t channels = 1;
  for (const int64_t axis : grid.scaled_axes()) channels *= weight_sizes[axis];
  return bytes_of_bits(elements, grid.bits) + scale_bytes(ranges, elements, channels, grid);
}

ModelSize size_of(const QuantizationSimModel& sim) {
  ModelSize size;
  for (const QuantizedWeight& weight : sim.weights()) {
    const at::Tensor& w = sim.program().state.at(weight.layer.parameters.front());
    size.layers_before += static_cast<int64_t>(w.nbytes());
    size.layers_after += packed_bytes(w.sizes(), weight.grid);
  }
  size.rest = state_bytes(sim.program()) - size.layers_before;
  return size;
}

}  // namespace adascale
