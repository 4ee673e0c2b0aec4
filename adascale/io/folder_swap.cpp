#include "adascale/io/folder_swap.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

namespace adascale {
namespace {

namespace fs = std::filesystem;

constexpr unsigned int kExchange = 1U << 1;  // RENAME_EXCHANGE of linux/fs.h

bool swap_folders(const std::string& a, const std::string& b) {
  return syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), kExchange) == 0;
}

bool is_within(const fs::path& path, const fs::path& folder) {
  return std::mismatch(path.begin(), path.end(), folder.begin(), folder.end()).second == folder.end();
}

bool same_file_system(const std::string& a, const std::string& b) {
  struct stat one {
  }, other{};
  return stat(a.c_str(), &one) == 0 && stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev;
}

/// The file is still the one under this name: its last owner may have removed it in between.
bool is_at(int descriptor, const std::string& path) {
  struct stat open {
  }, there{};
  return fstat(descriptor, &open) == 0 && stat(path.c_str(), &there) == 0 && open.st_ino == there.st_ino;
}

/// -1: somebody has it, or it cannot be made.
int lock_file(const std::string& path) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return -1;
    const bool is_taken = flock(descriptor, LOCK_EX | LOCK_NB) != 0;
    if (!is_taken && is_at(descriptor, path)) return descriptor;
    ::close(descriptor);
    if (is_taken) return -1;
  }
  return -1;
}

void sync_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  fsync(descriptor);
  ::close(descriptor);
}

/// Every file and link below, from the folder: "sub/a.txt". Folders are no entries.
std::vector<std::string> entries_in(const std::string& folder) {
  std::vector<std::string> entries;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory() || entry.is_symlink())
      entries.push_back(entry.path().lexically_relative(folder).string());
  return entries;
}

/// Whether all that the folder holds are plain files of these names.
bool holds_only(const std::string& folder, const std::set<std::string>& names) {
  for (const auto& entry : fs::directory_iterator(folder))
    if (!entry.is_regular_file() || entry.is_symlink() || !names.contains(entry.path().filename().string()))
      return false;
  return true;
}

}  // namespace

FolderSwap::FolderSwap(const std::string& folder) {
  std::error_code error;
  const fs::path place = fs::canonical(folder, error);
  if (error || place.filename().empty() || is_within(fs::current_path(error), place)) return;
  folder_ = place.string();
  path_ = (place.parent_path() / ("." + place.filename().string() + ".adascale")).string();
  if (!same_file_system(folder_, place.parent_path()) || !take_place()) path_.clear();
}

bool FolderSwap::take_place() {
  lock_ = lock_file(path_ + ".lock");
  if (lock_ < 0) return false;
  std::error_code error;
  fs::remove_all(path_, error);
  fs::create_directory(path_, error);
  return !error && takes_after_folder();
}

/// The mode and the owner are those of the folder that it replaces.
bool FolderSwap::takes_after_folder() const {
  struct stat there {};
  return stat(folder_.c_str(), &there) == 0 && chown(path_.c_str(), there.st_uid, there.st_gid) == 0 &&
         chmod(path_.c_str(), there.st_mode & 07777) == 0;
}

FolderSwap::~FolderSwap() {
  if (lock_ < 0) return;
  std::error_code ignored;
  if (!path_.empty() && !keeps_) fs::remove_all(path_, ignored);
  const fs::path place(folder_);
  fs::remove(place.parent_path() / ("." + place.filename().string() + ".adascale.lock"), ignored);
  ::close(lock_);
}

/// What a writer left beside its file.
void FolderSwap::remove_strangers(const std::vector<std::string>& files) const {
  const std::set<std::string> own(files.begin(), files.end());
  for (const std::string& name : entries_in(path_))
    if (!own.contains(name)) fs::remove(path_ / fs::path(name));
}

/// Files that came to the old folder in between go over. False: one could not.
bool FolderSwap::bring_newcomers(const std::vector<std::string>& files) const {
  const std::set<std::string> own(files.begin(), files.end());
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    if (!own.contains(name)) fs::rename(entry.path(), folder_ / fs::path(name), error);
    if (error) return false;
  }
  return !error;
}

bool FolderSwap::commit(const std::vector<std::string>& files) {
  try {
    remove_strangers(files);
    if (!holds_only(folder_, {files.begin(), files.end()})) return false;
  } catch (const fs::filesystem_error&) {  // boundary: an entry went away or cannot be read
    return false;
  }
  for (const auto& entry : fs::recursive_directory_iterator(path_))
    if (entry.is_directory()) sync_folder(entry.path().string());
  sync_folder(path_);
  if (!swap_folders(path_, folder_)) return false;
  sync_folder(fs::path(folder_).parent_path().string());
  keeps_ = !bring_newcomers(files);
  return true;
}

}  // namespace adascale
