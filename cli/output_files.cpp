#include "cli/output_files.h"

#include <algorithm>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/formats/format.h"
#include "adascale/io/staged_files.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

// A format's row says "PREFIX.pt2".
std::string file_name(const ExportFormat& format, const std::string& stem) {
  const std::string placeholder = "PREFIX";
  std::string name = format.files;
  return name.replace(name.find(placeholder), placeholder.size(), stem);
}

bool is_same_file(const std::string& a, const std::string& b) {
  return fs::exists(a) && fs::exists(b) && fs::equivalent(a, b);
}

}  // namespace

std::vector<std::string> OutputFiles::paths() const {
  std::vector<std::string> paths;
  for (const std::string& format : formats)
    paths.push_back((fs::path(folder) / file_name(export_format(format), stem)).string());
  return paths;
}

void check_output(const OutputFiles& files, const std::vector<std::string>& sources) {
  for (const std::string& format : files.formats) {
    export_format(format);
    ADA_CHECK(std::count(files.formats.begin(), files.formats.end(), format) == 1,
              "--format: '{}' is given twice", format);
  }
  for (const std::string& path : files.paths())
    for (const std::string& source : sources)
      ADA_CHECK(!is_same_file(path, source), "{}: would be overwritten; choose another --output-dir", source);
  const StagedFiles probe(files.folder);
}

void check_formats(const OutputFiles& files, const QuantizationSimModel& sim) {
  Objections objections;
  for (const std::string& format : files.formats)
    export_format(format).check({sim, files.stem, {}}, objections);
  objections.raise();
}

}  // namespace adascale
