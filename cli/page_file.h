#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace adascale {

/// The flag `--html FILE` of a command: its result as a page for a browser.
class PageFile {
 public:
  explicit PageFile(CLI::App& app);
  bool is_asked_for() const { return !path_.empty(); }
  /// Before work begins. Throws (user) where the file cannot be made, or is no page of ours.
  void check() const;
  /// Writes the page, all or nothing.
  void write(const std::string& page) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace adascale
