#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace adascale {

/// The last stage behind some of its iterations.
struct SavedStage {
  int64_t iteration = 0;
  std::string start;  ///< a digest of what decides its result
  std::vector<at::Tensor>
      tensors;  ///< what moves: the scales' changes and Adam's moments, in an order of its own
};

/// A file with a digest of its content (whole_file.h). The caller stages it.
void write_stage(const std::string& path, const SavedStage& stage);

/// Throws (user) unless the file is whole, of a stage with that start, has no more iterations behind it than `like`, and
/// tensors of the same sizes and dtypes.
SavedStage read_stage(const std::string& path, const SavedStage& like);

}  // namespace adascale
