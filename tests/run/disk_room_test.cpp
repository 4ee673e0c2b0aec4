#include "adascale/run/disk_room.h"

#include <limits>

#include "run/run_case.h"

namespace adascale::testing {
namespace {

using Texts = std::vector<std::string>;

/// One disk with room for 100 bytes, another one for everything in "large".
DiskRoom room_at(const std::string& folder) {
  return folder.starts_with("large") ? DiskRoom{2, 1'000'000'000} : DiskRoom{1, 100};
}

Texts objections_to(const std::vector<DiskNeed>& needs) {
  Objections objections;
  check_disk_room(needs, room_at, objections);
  return objections.texts();
}

TEST(DiskRoom, WhatIsOnOneDiskIsAddedUp) {
  const DiskNeed files{"out", "the files", "--output-dir", 60},
      blocks{"out.checkpoint", "finished blocks", "--checkpoint-dir", 50};
  EXPECT_EQ(objections_to({files}), Texts());
  EXPECT_EQ(objections_to({blocks}), Texts());
  EXPECT_EQ(
      objections_to({files, blocks}),
      Texts{"out: its disk has 100 B free, and the run takes at least 110 B there (the files 60 B, finished "
            "blocks 50 B); make room, or give another --output-dir and --checkpoint-dir"});
}

TEST(DiskRoom, EachDiskIsCheckedForItself) {
  const DiskNeed files{"large/out", "the files", "--output-dir", 5'000'000},
      blocks{"out.checkpoint", "finished blocks", "--checkpoint-dir", 5'000'000};
  EXPECT_EQ(
      objections_to({files, blocks}),
      Texts{"out.checkpoint: its disk has 100 B free, and the run takes at least 5.0 MB there (finished "
            "blocks 5.0 MB); make room, or give another --checkpoint-dir"});
}

TEST(DiskRoom, AFolderThatIsNotThereYetIsOnTheDiskAboveIt) {
  const DiskRoom root = disk_room_at("/"), here = disk_room_at("/no/such/folder/at/all");
  EXPECT_EQ(here.disk, root.disk);
  EXPECT_GT(here.bytes, 0);
  EXPECT_EQ(disk_room_at("/sys/kernel").bytes, std::numeric_limits<int64_t>::max());  // has no blocks at all
}

}  // namespace
}  // namespace adascale::testing
