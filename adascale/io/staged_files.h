#pragma once
#include <memory>
#include <string>
#include <vector>

#include "adascale/io/folder_swap.h"

namespace adascale {

/// Files that appear all or none: written aside, synced, then put in place.
///
///   StagedFiles files("out");  // checks that the folder exists or can be made, and is writable
///   write_safetensors(files.path("model.safetensors"), ...);
///   files.commit();
///
/// Without commit() the destructor removes the written files and leaves the folder as it was. A process that dies at
/// any moment leaves the old files or the new ones where the folder is new, empty or holds only files that are replaced
/// (FolderSwap). Elsewhere they are renamed one by one, indices last: dying in the midst of that leaves some of each.
class StagedFiles {
 public:
  enum class Place {
    kFolder,    ///< beside the folder, which is replaced as a whole
    kEachFile,  ///< in the folder under other names; for single files in a folder of many
  };

  explicit StagedFiles(const std::string& folder, Place place = Place::kFolder);
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  /// The path to write `folder/name` to; a name such as "tokenizer/vocab.txt" also makes folders.
  std::string path(const std::string& name);
  /// Where `folder/name`, which path() gave a place, lies until commit().
  const std::string& aside(const std::string& name) const;
  /// The file name that a path of this class's gets in the end.
  static std::string name_of(const std::string& aside);
  /// Syncs all files and drops them from the system's cache: who reads one next gets what the disk holds.
  void flush() const;
  /// Syncs all files and puts them in place; returns their final paths.
  std::vector<std::string> commit();

  /// Before the process ends in the middle of work: does what the destructors of all StagedFiles would, once a
  /// commit that has begun is through. Nothing is staged or put in place after it.
  static void discard_all();

 private:
  struct File {
    std::string name, aside, final;
  };

  void discard();
  std::string aside_of(const std::string& name) const;
  /// Throws before anything is put in place where a folder cannot be made.
  void make_parents() const;
  bool replace_folder();
  void rename_each() const;

  std::string folder_;
  bool made_folder_ = false;
  std::unique_ptr<FolderSwap> swap_;
  std::vector<File> files_;
};

}  // namespace adascale
