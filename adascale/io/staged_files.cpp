#include "adascale/io/staged_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <random>
#include <set>
#include <system_error>

#include "adascale/core/error.h"
#include "adascale/io/write_error.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAside = ".adascale-";  // names of files that are not in place yet begin so

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
  ADA_CHECK(is_synced, "{}", write_error(path, error));
}

/// Advice, which a file system in memory cannot follow.
void drop_from_cache(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
}

/// All that live, and what keeps discard_all and a commit apart.
struct Staging {
  std::mutex mutex;
  std::set<StagedFiles*> alive;
};

Staging& staging() {
  static auto* of_process = new Staging;  // never freed: discard_all may run while the process ends
  return *of_process;
}

/// A trial file finds more than the permission bits do: a read-only or full disk refuses it too. It has no name where
/// the file system can, so that a kill leaves none. Returns errno, or 0.
int try_file(const std::string& folder) {
  int descriptor = ::open(folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
  const std::string trial = folder + "/" + kAside + random_tag();
  if (descriptor < 0) {
    descriptor = ::open(trial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) return errno;
    ::unlink(trial.c_str());
  }
  ::close(descriptor);
  return 0;
}

bool is_json(const std::string& name) {
  return name.ends_with(".json");
}

}  // namespace

StagedFiles::StagedFiles(const std::string& folder, Place place) : folder_(folder.empty() ? "." : folder) {
  std::error_code error;
  ADA_CHECK(!fs::exists(folder_, error) || fs::is_directory(folder_, error),
            "{}: is a file, expected a folder", folder_);
  made_folder_ = fs::create_directories(folder_, error);
  ADA_CHECK(!error, "{}: the folder cannot be made: {}", folder_, error.message());
  if (const int reason = try_file(folder_); reason != 0) {
    if (made_folder_) fs::remove(folder_, error);
    fail("{}: the folder is not writable: {}", folder_, std::strerror(reason));
  }
  const std::lock_guard lock(staging().mutex);
  if (place == Place::kFolder) swap_ = std::make_unique<FolderSwap>(folder_);
  if (swap_ && !swap_->is_usable()) swap_.reset();
  staging().alive.insert(this);
}

StagedFiles::~StagedFiles() {
  const std::lock_guard lock(staging().mutex);
  staging().alive.erase(this);
  discard();
}

void StagedFiles::discard_all() {
  staging().mutex.lock();  // and kept: who comes later waits for the end
  for (StagedFiles* files : staging().alive) files->discard();
}

void StagedFiles::discard() {
  std::error_code ignored;
  for (const File& file : files_) fs::remove(file.aside, ignored);
  swap_.reset();
  if (made_folder_) fs::remove(folder_, ignored);  // only when empty
}

std::string StagedFiles::aside_of(const std::string& name) const {
  if (!swap_) return folder_ + "/" + kAside + random_tag() + "." + fs::path(name).filename().string();
  const fs::path aside = fs::path(swap_->path()) / name;
  std::error_code error;
  fs::create_directories(aside.parent_path(), error);
  ADA_CHECK(!error, "{}: its folder cannot be made: {}", aside.string(), error.message());
  return aside.string();
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
  const std::lock_guard lock(staging().mutex);
  for (const File& file : files_)
    ADA_CHECK(file.final != final, "{}: is written twice; let one format write it", final);
  files_.push_back({name, aside_of(name), final});
  return files_.back().aside;
}

const std::string& StagedFiles::aside(const std::string& name) const {
  const auto file =
      std::find_if(files_.begin(), files_.end(), [&](const File& one) { return one.name == name; });
  ADA_ASSERT(file != files_.end(), "no file was written as " + name);
  return file->aside;
}

std::string StagedFiles::name_of(const std::string& aside) {
  const std::string name = fs::path(aside).filename().string();
  return name.starts_with(kAside) ? name.substr(name.find('.', 1) + 1) : name;
}

void StagedFiles::flush() const {
  for (const File& file : files_) {
    sync(file.aside);
    drop_from_cache(file.aside);
  }
}

void StagedFiles::make_parents() const {
  for (const File& file : files_) {
    std::error_code error;
    fs::create_directories(fs::path(file.final).parent_path(), error);
    ADA_CHECK(!error, "{}: its folder cannot be made: {}", file.final, error.message());
  }
}

/// False: the folder is as it was.
bool StagedFiles::replace_folder() {
  if (!swap_) return false;
  std::vector<std::string> names;
  for (const File& file : files_) names.push_back(file.name);
  return swap_->commit(names);
}

/// An index of weights comes after the weights.
void StagedFiles::rename_each() const {
  std::vector<File> files = files_;
  std::stable_partition(files.begin(), files.end(), [](const File& file) { return !is_json(file.name); });
  for (const File& file : files) {
    std::error_code error;
    fs::rename(file.aside, file.final, error);
    ADA_CHECK(!error, "{}: cannot be put in place: {}", file.final, error.message());
  }
  sync(folder_);
}

std::vector<std::string> StagedFiles::commit() {
  for (const File& file : files_) sync(file.aside);
  const std::lock_guard lock(staging().mutex);
  if (!replace_folder()) {
    make_parents();
    rename_each();
  }
  std::vector<std::string> finished;
  for (const File& file : files_) finished.push_back(file.final);
  files_.clear();
  made_folder_ = false;
  swap_.reset();
  return finished;
}

}  // namespace adascale
