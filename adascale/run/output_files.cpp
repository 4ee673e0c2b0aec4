#include "adascale/run/output_files.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "adascale/core/error.h"
#include "adascale/io/staged_files.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

/// Refuses files of an earlier run that would stay beside this run's: a runtime would take old
/// encodings for those of the new weights.
void check_no_leftovers(const OutputFiles& files) {
  std::vector<ExportFormat> known = export_formats();
  known.insert(known.end(), files.options.more_formats.begin(), files.options.more_formats.end());
  const std::vector<std::string> written = files.paths();
  for (const ExportFormat& format : known) {
    for (const std::string& pattern : format.files) {
      const std::string path = (fs::path(files.folder) / output_file(pattern, files.stem)).string();
      const bool is_replaced = std::find(written.begin(), written.end(), path) != written.end();
      ADA_CHECK(is_replaced || pattern.find("PREFIX") == std::string::npos || !fs::exists(path),
                "{}: is of an earlier run and would stay beside the new files; "
                "remove it, or choose another --output-dir",
                path);
    }
  }
}

bool is_same_file(const std::string& a, const std::string& b) {
  return fs::exists(a) && fs::exists(b) && fs::equivalent(a, b);
}

}  // namespace

std::vector<std::string> OutputFiles::paths() const {
  std::vector<std::string> paths;
  for (const std::string& format : formats)
    for (const std::string& file : export_format(format, options.more_formats).files)
      paths.push_back((fs::path(folder) / output_file(file, stem)).string());
  return paths;
}

void check_output(const OutputFiles& files, const std::vector<std::string>& sources) {
  std::set<std::string> names;
  for (const std::string& format : files.formats) {
    const std::string& name = export_format(format, files.options.more_formats).name;
    ADA_CHECK(names.insert(name).second, "--format: '{}' is given twice", name);
  }
  Objections objections;
  check_files_differ(files.formats, files.stem, files.options.more_formats, objections);
  objections.raise();
  for (const std::string& path : files.paths())
    for (const std::string& source : sources)
      ADA_CHECK(!is_same_file(path, source), "{}: would be overwritten; choose another --output-dir", source);
  check_no_leftovers(files);
  StagedFiles probe(files.folder);
  for (const std::string& format : files.formats)
    for (const std::string& file : export_format(format, files.options.more_formats).files)
      probe.path(output_file(file, files.stem));
}

void check_formats(const OutputFiles& files, const QuantizationSimModel& sim) {
  Objections objections;
  for (const std::string& name : files.formats) {
    const auto [format, target] = choose_format(name, files.options.more_formats);
    format->check({sim, files.folder, files.stem, files.options, target}, objections);
  }
  objections.raise();
}

std::vector<std::string> format_notes(const OutputFiles& files, const QuantizationSimModel& sim) {
  std::vector<std::string> notes;
  for (const std::string& name : files.formats) {
    const auto [format, target] = choose_format(name, files.options.more_formats);
    if (!format->notes) continue;
    const auto said = format->notes({sim, files.folder, files.stem, files.options, target});
    notes.insert(notes.end(), said.begin(), said.end());
  }
  return notes;
}

}  // namespace adascale
