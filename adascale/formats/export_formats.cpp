#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/spelling.h"
#include "adascale/core/words.h"
#include "adascale/formats/format.h"

namespace adascale {

ExportFormat safetensors_format();
ExportFormat pt2_format();
ExportFormat encodings_format();
ExportFormat hf_format();
ExportFormat compressed_tensors_format();
ExportFormat gptq_format();
ExportFormat gguf_format();

namespace {

/// Never freed: rows of another language may not outlive its interpreter. Rows stay where they are.
std::deque<ExportFormat>& table() {
  static auto* formats = new std::deque<ExportFormat>{
      safetensors_format(),        pt2_format(),  encodings_format(), hf_format(),
      compressed_tensors_format(), gptq_format(), gguf_format(),
  };
  return *formats;
}

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const ExportFormat& format : table()) names.push_back(format.name);
  return names;
}

ChosenFormat choose_format(const std::string& name) {
  const size_t colon = name.find(':');
  const bool has_target = colon != std::string::npos;
  const std::string bare = name.substr(0, colon), target = has_target ? name.substr(colon + 1) : "";
  const auto format =
      std::find_if(table().begin(), table().end(), [&](const ExportFormat& row) { return row.name == bare; });
  ADA_CHECK(format != table().end(), "{}: got '{}', expected some of {}{}", option("formats"), bare,
            fmt::join(known_names(), ", "), did_you_mean(bare, known_names()));
  const auto& targets = format->targets;
  ADA_CHECK(!has_target || !targets.empty(), "{}: '{}': {} has no grids of its own to ask for; write {}",
            option("formats"), name, bare, bare);
  ADA_CHECK(!has_target || std::find(targets.begin(), targets.end(), target) != targets.end(),
            "{}: '{}': {} has no grid '{}'; it has {}{}", option("formats"), name, bare, target,
            fmt::join(targets, ", "), did_you_mean(target, targets));
  return {&*format, target};
}

}  // namespace

const std::deque<ExportFormat>& export_formats() {
  return table();
}

void add_export_format(ExportFormat format) {
  for (ExportFormat& row : table())
    if (row.name == format.name) {
      row = std::move(format);
      return;
    }
  table().push_back(std::move(format));
}

std::vector<ChosenFormat> choose_formats(const std::vector<std::string>& names, Objections& objections) {
  if (names.empty())
    objections.add("{}: got none, expected some of {}", option("formats"), fmt::join(known_names(), ", "));
  std::vector<ChosenFormat> chosen;
  for (const std::string& name : names)
    objections.gather([&] {
      const ChosenFormat one = choose_format(name);
      const bool is_new = std::none_of(chosen.begin(), chosen.end(),
                                       [&](const ChosenFormat& other) { return other.format == one.format; });
      ADA_CHECK(is_new, "{}: {} is named twice; name it once", option("formats"), one.format->name);
      chosen.push_back(one);
    });
  return chosen;
}

void check_take_parts(const std::vector<ChosenFormat>& formats, Objections& objections) {
  std::vector<std::string> whole, known;
  for (const auto& [format, target] : formats)
    if (!format->takes_parts) whole.push_back(format->name);
  for (const ExportFormat& format : export_formats())
    if (format.takes_parts) known.push_back(format.name);
  if (!whole.empty())
    objections.add(
        "export: {}: this model was captured block by block and has no program of the whole; use {}",
        fmt::join(whole, ", "), fmt::join(known, ", "));
}

std::string output_file(std::string pattern, const std::string& prefix) {
  const std::string placeholder = "PREFIX";
  const size_t place = pattern.find(placeholder);
  return place == std::string::npos ? pattern : pattern.replace(place, placeholder.size(), prefix);
}

}  // namespace adascale
