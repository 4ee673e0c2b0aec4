#include "adascale/io/file_passes.h"

#include "adascale/io/staged_files.h"

namespace adascale {

Pass pass_writing(const std::string& path, size_t tensors) {
  return {"writing " + StagedFiles::name_of(path), static_cast<int64_t>(tensors)};
}

Pass pass_reading_back(const std::string& path, size_t tensors) {
  return {"reading back " + StagedFiles::name_of(path), static_cast<int64_t>(tensors)};
}

}  // namespace adascale
