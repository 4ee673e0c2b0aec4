#include "cli/page_file.h"

#include <fmt/format.h>

#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/formats/folder_files.h"
#include "adascale/io/staged_files.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// Written aside in the folder of the file.
StagedFiles stage_beside(const fs::path& path) {
  return StagedFiles(path.has_parent_path() ? path.parent_path().string() : ".",
                     StagedFiles::Place::kEachFile);
}

}  // namespace

PageFile::PageFile(CLI::App& app) {
  app.add_option("--html", path_, "write the result as a page, too: one file that loads nothing")
      ->type_name("FILE");
}

void PageFile::check() const {
  if (!is_asked_for()) return;
  const fs::path path = path_;
  ADA_CHECK(path.has_filename() && !fs::is_directory(path),
            "--html: {}: is a folder, expected the name of a file", path_);
  ADA_CHECK(path.filename() != kReportPage,
            "--html: {}: is the name of a run's report, which would be overwritten; give another name",
            path_);
  ADA_CHECK(!fs::exists(path) || is_our_page(path_),
            "--html: {}: is no page of adascale and would be overwritten; give another name", path_);
  StagedFiles probe = stage_beside(path);
  probe.path(path.filename().string());
}

void PageFile::write(const std::string& page) const {
  const fs::path path = path_;
  StagedFiles files = stage_beside(path);
  write_text_file(files.path(path.filename().string()), [&](std::ostream& out) { out << page; });
  files.commit();
}

}  // namespace adascale
