#include "adascale/device/cpu_quota.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace adascale {
namespace {

namespace fs = std::filesystem;

struct CpuQuota : ::testing::Test {
  fs::path root = fs::path(ADASCALE_TEST_SCRATCH) / ("cgroup." + std::to_string(getpid()));
  CpuQuota() { fs::remove_all(root); }
  ~CpuQuota() override { fs::remove_all(root); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((root / name).parent_path());
    std::ofstream(root / name) << text;
  }
  std::optional<int> quota(const std::string& groups) const {
    write("self", groups);
    return cpu_quota(root, root / "self");
  }
};

TEST_F(CpuQuota, IsReadFromTheGroupAndThoseAboveIt) {
  write("cpu.max", "max 100000\n");
  write("a/cpu.max", "250000 100000\n");
  write("a/b/cpu.max", "800000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 3) << "2.5, rounded up";
  EXPECT_EQ(quota("0::/a\n"), 3);
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
}

TEST_F(CpuQuota, OfAContainerIsAtTheRoot) {
  write("cpu.max", "50000 100000\n");
  EXPECT_EQ(quota("0::/\n"), 1);
  EXPECT_EQ(quota("0::/docker/0123456789ab\n"), 1) << "a path that the container does not see";
}

TEST_F(CpuQuota, OfVersionOneIsRead) {
  write("cpu,cpuacct/job/cpu.cfs_quota_us", "400000\n");
  write("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("5:memory:/job\n4:cpu,cpuacct:/job\n"), 4);
  write("cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota("4:cpu,cpuacct:/job\n"), std::nullopt);
}

TEST_F(CpuQuota, OfFilesThatSayNothingIsNone) {
  EXPECT_EQ(cpu_quota(root, root / "missing"), std::nullopt);
  write("cpu.max", "");
  for (const char* groups : {"", "\n", "nonsense\n", "0::\n", "::::\n"})
    EXPECT_EQ(quota(groups), std::nullopt) << groups;
  write("cpu.max", "abc 0\n");
  EXPECT_EQ(quota("0::/\n"), std::nullopt);
}

}  // namespace
}  // namespace adascale
