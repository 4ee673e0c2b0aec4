#include <fmt/ranges.h>

#include "adascale/formats/format.h"

namespace adascale {

ExportFormat safetensors_format();
ExportFormat pt2_format();
ExportFormat encodings_format();

const std::vector<ExportFormat>& export_formats() {
  static const std::vector<ExportFormat> formats = {
      safetensors_format(),
      pt2_format(),
      encodings_format(),
  };
  return formats;
}

const ExportFormat& export_format(const std::string& name) {
  std::vector<std::string> known;
  for (const ExportFormat& format : export_formats()) {
    if (format.name == name) return format;
    known.push_back(format.name);
  }
  fail("export: unknown format '{}'; known formats: {}", name, fmt::join(known, ", "));
}

}  // namespace adascale
