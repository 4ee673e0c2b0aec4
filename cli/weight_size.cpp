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

int64_t packed_bytes(at::IntArrayRef weight_sizes, const Grid& grid) {
  const int64_t ranges = c10::multiply_integers(scale_sizes(weight_sizes, grid));
  const auto float_bytes = static_cast<int64_t>(c10::elementSize(grid.scale_dtype));
  int64_t channels = 1;
  for (const int64_t axis : grid.scaled_axes()) channels *= weight_sizes[axis];
  const int64_t scales = grid.integer_block_scales()
                             ? bytes_of_bits(ranges, grid.block_scale_bits) + channels * float_bytes
                             : ranges * float_bytes;
  const int64_t offsets = grid.symmetric ? 0 : bytes_of_bits(ranges, grid.bits);
  return bytes_of_bits(c10::multiply_integers(weight_sizes), grid.bits) + scales + offsets;
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
