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

const ExportFormat& export_format(const std::string& name, const std::vector<ExportFormat>& more) {
  std::vector<std::string> known;
  for (const auto* formats : {&export_formats(), &more})
    for (const ExportFormat& format : *formats) {
      if (format.name == name) return format;
      known.push_back(format.name);
    }
  fail("export: unknown format '{}'; known formats: {}", name, fmt::join(known, ", "));
}

}  // namespace adascale
