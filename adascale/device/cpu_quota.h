#pragma once
#include <optional>
#include <string>

namespace adascale {

/// The CPUs that the control groups of this process allow, rounded up; nothing where they set no limit. A
/// container's limit is one: the host's cores are all seen within it, but may not all be used.
/// `root`: where the groups' files lie; `self`: the file that names the process's groups (tests have their own).
std::optional<int> cpu_quota(const std::string& root = "/sys/fs/cgroup",
                             const std::string& self = "/proc/self/cgroup");

}  // namespace adascale
