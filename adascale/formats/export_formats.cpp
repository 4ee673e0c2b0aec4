#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "adascale/formats/format.h"

namespace adascale {

ExportFormat safetensors_format();
ExportFormat pt2_format();
ExportFormat encodings_format();
ExportFormat compressed_tensors_format();
ExportFormat gptq_format();
ExportFormat gguf_format();

const std::vector<ExportFormat>& export_formats() {
  static const std::vector<ExportFormat> formats = {
      safetensors_format(),        pt2_format(),  encodings_format(),
      compressed_tensors_format(), gptq_format(), gguf_format(),
  };
  return formats;
}

ChosenFormat choose_format(const std::string& name, const std::vector<ExportFormat>& more) {
  const size_t colon = name.find(':');
  const std::string bare = name.substr(0, colon);
  const std::string target = colon == std::string::npos ? "" : name.substr(colon + 1);
  std::vector<std::string> known;
  for (const auto* formats : {&export_formats(), &more})
    for (const ExportFormat& format : *formats) {
      known.push_back(format.name);
      if (format.name != bare) continue;
      ADA_CHECK(colon == std::string::npos || !format.targets.empty(),
                "export: '{}': {} has no grids of its own to ask for; write {}", name, bare, bare);
      ADA_CHECK(
          colon == std::string::npos || std::count(format.targets.begin(), format.targets.end(), target),
          "export: '{}': {} has no grid '{}'; it has {}", name, bare, target,
          fmt::join(format.targets, ", "));
      return {&format, target};
    }
  fail("export: unknown format '{}'; known formats: {}", bare, fmt::join(known, ", "));
}

std::string output_file(std::string pattern, const std::string& prefix) {
  const std::string placeholder = "PREFIX";
  const size_t place = pattern.find(placeholder);
  return place == std::string::npos ? pattern : pattern.replace(place, placeholder.size(), prefix);
}

void check_files_differ(const std::vector<std::string>& formats, const std::string& prefix,
                        const std::vector<ExportFormat>& more, Objections& objections) {
  std::map<std::string, std::string> writers;
  for (const std::string& name : formats)
    for (const std::string& pattern : export_format(name, more).files) {
      const auto [writer, is_new] = writers.emplace(output_file(pattern, prefix), name);
      if (!is_new)
        objections.add("export: {}: both {} and {} write it; choose one", writer->first, writer->second,
                       name);
    }
}

const ExportFormat& export_format(const std::string& name, const std::vector<ExportFormat>& more) {
  return *choose_format(name, more).format;
}

}  // namespace adascale
