#pragma once
#include <string>
#include <vector>

namespace adascale {

/// Files that appear all or none: written under temporary names in the destination
/// folder, synced, then renamed.
///
///   StagedFiles files("out");  // checks that the folder exists or can be made, and is writable
///   write_safetensors(files.path("model.safetensors"), ...);
///   files.commit();
///
/// Without commit() the destructor removes the written files and leaves the folder as it was.
class StagedFiles {
 public:
  explicit StagedFiles(const std::string& folder);
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  /// The path to write `folder/name` to; a name such as "tokenizer/vocab.txt" also makes folders.
  std::string path(const std::string& name);
  /// Syncs and renames all files; returns their final paths.
  std::vector<std::string> commit();

 private:
  /// Makes all parent folders before the first rename, so that nothing is renamed
  /// when one cannot be made.
  void make_parents() const;

  struct File {
    std::string aside, final;
  };
  std::string folder_;
  bool made_folder_ = false;
  std::vector<File> files_;
};

}  // namespace adascale
