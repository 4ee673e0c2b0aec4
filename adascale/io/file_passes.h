#pragma once
#include <string>

#include "adascale/core/passes.h"

namespace adascale {

/// Passes over the tensors of a file: "writing model.gguf", "reading back model.gguf". `path`: StagedFiles' place for it.
Pass pass_writing(const std::string& path, size_t tensors);
Pass pass_reading_back(const std::string& path, size_t tensors);

}  // namespace adascale
