#include "adascale/run/output_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "adascale/core/spelling.h"
#include "adascale/formats/folder_files.h"
#include "adascale/io/staged_files.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const std::string& a, const std::string& b) {
  return fs::exists(a) && fs::exists(b) && fs::equivalent(a, b);
}

}  // namespace

void check_writable(const std::string& folder) {
  try {
    const StagedFiles probe(folder);
  } catch (const Error& error) {  // boundary: adds the cure
    fail("{}; give another {}", error.what(), option("output_dir"));
  }
}

void check_places(const ExportPlan& files, Objections& objections) {
  std::set<std::string> names(files.options.texts.begin(), files.options.texts.end());
  for (const PreparedFormat& format : files.prepared) names.insert(format.files.begin(), format.files.end());
  for (const std::string& name : names) objections.gather([&] { StagedFiles(files.folder).path(name); });
}

void check_card(const ExportPlan& files, Objections& objections) {
  const auto& texts = files.options.texts;
  const std::string path = (fs::path(files.folder) / kCardFile).string();
  if (std::find(texts.begin(), texts.end(), kCardFile) != texts.end() && fs::exists(path) &&
      !is_our_card(path))
    objections.add(
        "{}: is no model card of adascale and would be overwritten; move it, or choose another folder", path);
}

void check_no_leftovers(const ExportPlan& files, Objections& objections) {
  const std::vector<std::string> written = files.paths();
  for (const ExportFormat& format : export_formats())
    for (const std::string& pattern : format.files) {
      if (pattern.find("PREFIX") == std::string::npos) continue;
      const std::string path = (fs::path(files.folder) / output_file(pattern, files.prefix)).string();
      const bool is_replaced = std::find(written.begin(), written.end(), path) != written.end();
      if (!is_replaced && fs::exists(path))
        objections.add(
            "{}: is of an earlier run and would stay beside the new files; remove it, or choose another "
            "folder",
            path);
    }
}

void check_no_overwritten(const std::vector<std::string>& paths, const std::vector<std::string>& sources,
                          Objections& objections) {
  for (const std::string& path : paths)
    for (const std::string& source : sources)
      if (is_same_file(path, source))
        objections.add("{}: would be overwritten; choose another folder", source);
}

}  // namespace adascale
