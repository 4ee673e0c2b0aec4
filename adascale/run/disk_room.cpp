#include "adascale/run/disk_room.h"

#include <fmt/ranges.h>
#include <sys/stat.h>

#include <filesystem>
#include <limits>
#include <map>

#include "adascale/core/spelling.h"
#include "adascale/run/text.h"
#include "adascale/run/weight_size.h"
#include "adascale/tune/checkpoint.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// What no format stores smaller: values in the model's dtype, or the codes of the quantized layers.
int64_t least_bytes_of_files(const RunPlan& plan) {
  const ModelSize size = size_of(plan.to_write());
  int64_t bytes = 0;
  for (const ChosenFormat& chosen : plan.files.formats) {
    if (chosen.format->weights_as == WeightsAs::kValues) bytes += size.before();
    if (chosen.format->weights_as == WeightsAs::kCodes) bytes += size.layers_after;
  }
  return bytes;
}

void check_disk(const std::vector<DiskNeed>& needs, int64_t free, Objections& objections) {
  int64_t bytes = 0;
  std::vector<std::string> parts, options;
  for (const DiskNeed& need : needs) {
    bytes += need.bytes;
    parts.push_back(fmt::format("{} {}", need.what, format_bytes(need.bytes)));
    options.push_back(need.option);
  }
  if (bytes > free)
    objections.add(
        "{}: its disk has {} free, and the run takes at least {} there ({}); make room, or give another {}",
        needs.front().folder, format_bytes(free), format_bytes(bytes), fmt::join(parts, ", "),
        fmt::join(options, " and "));
}

}  // namespace

std::vector<DiskNeed> disk_needs_of(const RunPlan& plan) {
  std::vector<DiskNeed> needs = {
      {plan.request.output_dir, "the files", option("output_dir"), least_bytes_of_files(plan)}};
  const AdaScaleOptions& training = plan.training.options;
  if (keeps_blocks(training) && !training.resume)  // else some are there already
    needs.push_back({training.checkpoint_dir, "finished blocks", option("checkpoint_dir"),
                     static_cast<int64_t>(plan.training.work.trained)});
  return needs;
}

DiskRoom disk_room_at(const std::string& folder) {
  DiskRoom room{.bytes = std::numeric_limits<int64_t>::max()};
  fs::path path = fs::absolute(folder);
  while (!fs::exists(path) && path.has_relative_path()) path = path.parent_path();
  struct stat of_folder {};
  std::error_code unknown;
  const fs::space_info space = fs::space(path, unknown);
  const bool says_nothing = unknown || space.capacity == 0;  // as some file systems of users' programs do
  if (says_nothing || stat(path.c_str(), &of_folder) != 0) return room;
  return {of_folder.st_dev, static_cast<int64_t>(space.available)};
}

void check_disk_room(const std::vector<DiskNeed>& needs,
                     const std::function<DiskRoom(const std::string& folder)>& room_at,
                     Objections& objections) {
  std::map<uint64_t, std::vector<DiskNeed>> by_disk;
  std::map<uint64_t, int64_t> free;
  for (const DiskNeed& need : needs) {
    const DiskRoom room = room_at(need.folder);
    by_disk[room.disk].push_back(need);
    free[room.disk] = room.bytes;
  }
  for (const auto& [disk, needs_there] : by_disk) check_disk(needs_there, free[disk], objections);
}

}  // namespace adascale
