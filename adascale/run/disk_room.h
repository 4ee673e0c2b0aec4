#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/run/run_plan.h"

namespace adascale {

/// What a run puts into a folder, at least.
struct DiskNeed {
  std::string folder;
  std::string what;    ///< "finished blocks"
  std::string option;  ///< that names another folder, as the caller spells it
  int64_t bytes = 0;
};

std::vector<DiskNeed> disk_needs_of(const RunPlan& plan);

struct DiskRoom {
  uint64_t disk = 0;  ///< equal for folders on the same one
  int64_t bytes = 0;
};

/// Of the folder, or the nearest one above it that exists; where the system does not tell, all that can be counted.
DiskRoom disk_room_at(const std::string& folder);

/// Objects to each disk that has less room than the needs on it.
void check_disk_room(const std::vector<DiskNeed>& needs,
                     const std::function<DiskRoom(const std::string& folder)>& room_at,
                     Objections& objections);

}  // namespace adascale
