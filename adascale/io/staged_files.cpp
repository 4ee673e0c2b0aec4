#include "adascale/io/staged_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>

#include "adascale/core/error.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

std::string random_tag() {
  static const char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device device;
  std::string tag;
  for (int i = 0; i < 8; ++i) tag += kLetters[device() % (sizeof(kLetters) - 1)];
  return tag;
}

/// A file's name, or a path that only descends.
bool stays_inside(const std::string& name) {
  const fs::path path(name);
  return path.is_relative() && path.has_filename() &&
         std::none_of(path.begin(), path.end(),
                      [](const fs::path& part) { return part == "." || part == ".."; });
}

/// Waits until the file's or folder's content is on the disk.
void sync(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ADA_CHECK(descriptor >= 0, "{}: cannot be opened: {}", path, std::strerror(errno));
  const bool is_synced = fsync(descriptor) == 0;
  const int error = errno;
  ::close(descriptor);
  ADA_CHECK(is_synced, "{}: cannot be written to disk: {}", path, std::strerror(error));
}

}  // namespace

StagedFiles::StagedFiles(const std::string& folder) : folder_(folder.empty() ? "." : folder) {
  std::error_code error;
  ADA_CHECK(!fs::exists(folder_, error) || fs::is_directory(folder_, error),
            "{}: is a file, expected a folder", folder_);
  made_folder_ = fs::create_directories(folder_, error);
  ADA_CHECK(!error, "{}: the folder cannot be made: {}", folder_, error.message());
  // A trial file finds more than the permission bits do: a read-only or full disk refuses it too.
  const std::string trial = folder_ + "/.adascale-" + random_tag();
  const int descriptor = ::open(trial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const int reason = errno;
  if (descriptor < 0 && made_folder_) fs::remove(folder_, error);
  ADA_CHECK(descriptor >= 0, "{}: the folder is not writable: {}", folder_, std::strerror(reason));
  ::close(descriptor);
  ::unlink(trial.c_str());
}

StagedFiles::~StagedFiles() {
  std::error_code ignored;
  for (const File& file : files_) fs::remove(file.aside, ignored);
  if (made_folder_) fs::remove(folder_, ignored);  // only when empty
}

std::string StagedFiles::path(const std::string& name) {
  ADA_CHECK(stays_inside(name), "'{}': expected a file name, or a path within the output folder", name);
  const std::string final = folder_ + "/" + name;
  std::error_code ignored;
  ADA_CHECK(!fs::is_directory(final, ignored), "{}: is a folder, expected a file name", final);
  for (fs::path parent = fs::path(name).parent_path(); !parent.empty(); parent = parent.parent_path()) {
    const fs::path place = fs::path(folder_) / parent;
    ADA_CHECK(!fs::exists(place, ignored) || fs::is_directory(place, ignored),
              "{}: its folder {} is a file; remove it, or choose another folder", final, place.string());
  }
  for (const File& file : files_)
    ADA_CHECK(file.final != final, "{}: is written twice; let one format write it", final);
  files_.push_back(
      {folder_ + "/.adascale-" + random_tag() + "." + fs::path(name).filename().string(), final});
  return files_.back().aside;
}

void StagedFiles::make_parents() const {
  for (const File& file : files_) {
    std::error_code error;
    fs::create_directories(fs::path(file.final).parent_path(), error);
    ADA_CHECK(!error, "{}: its folder cannot be made: {}", file.final, error.message());
  }
}

std::vector<std::string> StagedFiles::commit() {
  for (const File& file : files_) sync(file.aside);
  make_parents();
  std::vector<std::string> finished;
  for (const File& file : files_) {
    std::error_code error;
    fs::rename(file.aside, file.final, error);
    ADA_CHECK(!error, "{}: cannot be put in place: {}", file.final, error.message());
    finished.push_back(file.final);
  }
  sync(folder_);
  files_.clear();
  made_folder_ = false;
  return finished;
}

}  // namespace adascale
