#include "adascale/device/cpu_quota.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// Version 2: "200000 100000", microseconds of CPU in microseconds of time, or "max 100000".
std::optional<double> quota_in(const fs::path& group) {
  double quota = 0, period = 0;
  if (std::ifstream file(group / "cpu.max"); file >> quota >> period && period > 0) return quota / period;
  std::ifstream old_quota(group / "cpu.cfs_quota_us"), old_period(group / "cpu.cfs_period_us");
  if (old_quota >> quota && old_period >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

/// The smallest of a group and all above it, up to the root.
std::optional<double> smallest_quota(const fs::path& root, const std::string& group) {
  std::optional<double> smallest;
  for (fs::path path = fs::path(group).relative_path();; path = path.parent_path()) {
    const std::optional<double> quota = quota_in(root / path);
    if (quota) smallest = std::min(smallest.value_or(*quota), *quota);
    if (path.empty()) return smallest;
  }
}

}  // namespace

// A line is "0::/path" in version 2 and "4:cpu,cpuacct:/path" in version 1. A container may see its own group as the
// root of the tree, under whatever path the host has for it.
std::optional<int> cpu_quota(const std::string& root, const std::string& self) {
  std::optional<double> smallest;
  std::ifstream file(self);
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    for (const fs::path& tree : {fs::path(root), fs::path(root) / "cpu", fs::path(root) / controllers})
      if (const auto quota = smallest_quota(tree, line.substr(second + 1)))
        smallest = std::min(smallest.value_or(*quota), *quota);
  }
  if (!smallest) return std::nullopt;
  return std::max(1, static_cast<int>(std::ceil(*smallest)));
}

}  // namespace adascale
