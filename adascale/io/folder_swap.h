#pragma once
#include <string>
#include <vector>

namespace adascale {

/// A folder beside another one, `.NAME.adascale`, in which its next content is built; then both change places by
/// one system call. Of two processes that want the same place, one gets it.
class FolderSwap {
 public:
  /// Takes the place, emptied of what a killed process left. Not usable (see there) where that cannot be.
  explicit FolderSwap(const std::string& folder);
  ~FolderSwap();
  FolderSwap(const FolderSwap&) = delete;
  FolderSwap& operator=(const FolderSwap&) = delete;

  /// False where the parent is not writable or another file system, another process has the place, or the present
  /// folder lies within `folder`: who stands there would see nothing of the new files.
  bool is_usable() const { return !path_.empty(); }
  const std::string& path() const { return path_; }

  /// Exchanges the two. False, with the folder as it was, if it holds anything but files that `files` (named from the
  /// folder) replace: the user's own are never moved. Also where the file system knows no exchange.
  bool commit(const std::vector<std::string>& files);

 private:
  bool take_place();
  bool takes_after_folder() const;
  void remove_strangers(const std::vector<std::string>& files) const;
  bool bring_newcomers(const std::vector<std::string>& files) const;

  std::string folder_, path_;
  int lock_ = -1;
  bool keeps_ = false;  // what is in the place now is the user's
};

}  // namespace adascale
