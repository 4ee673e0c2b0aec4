#include "adascale/formats/encodings/layout.h"

namespace adascale {
namespace {

/// From [blocks, channels] to [channels, blocks]; a shorter shape has no blocks.
template <class T>
void transpose(std::vector<T>& values, int64_t channels) {
  const auto count = static_cast<int64_t>(values.size());
  if (channels <= 0 || count <= channels || count % channels != 0) return;
  std::vector<T> moved(values.size());
  const int64_t blocks = count / channels;
  for (int64_t i = 0; i < count; ++i) moved[i % channels * blocks + i / channels] = values[i];
  values = std::move(moved);
}

}  // namespace

FileEntry transposed(FileEntry entry, int64_t channels) {
  if (entry.block_scales.empty()) transpose(entry.scales, channels);
  transpose(entry.lowest, channels);
  transpose(entry.block_scales, channels);
  if (entry.axis) entry.axis = *entry.axis < 0 ? -3 - *entry.axis : 1 - *entry.axis;
  if (entry.shape.size() == 2) std::swap(entry.shape[0], entry.shape[1]);
  return entry;
}

}  // namespace adascale
