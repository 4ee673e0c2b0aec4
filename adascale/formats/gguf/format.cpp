#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "adascale/core/spelling.h"
#include "adascale/formats/format.h"
#include "adascale/formats/gguf/fit.h"
#include "adascale/formats/gguf/items.h"
#include "adascale/formats/metadata.h"
#include "adascale/io/file_passes.h"

namespace adascale {
namespace {

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const GgufGrid& type : gguf_grids()) names.emplace_back(type.name);
  return names;
}

/// The bits come from other options: a target whose bits no layer has would silently have no effect.
void check_target(const ExportRequest& request, Objections& objections) {
  const GgufGrid* target = gguf_grid_named(request.target);
  if (target == nullptr) return;
  const auto& weights = request.sim.weights();
  const bool is_met = std::any_of(weights.begin(), weights.end(), [&](const QuantizedWeight& weight) {
    return weight.asked.bits == target->bits;
  });
  if (!is_met)
    objections.add("gguf:{}: no layer has its {} bits; use {}", target->name, target->bits,
                   option("param_bw", target->bits));
}

/// The type of most weights.
uint32_t file_type(const std::vector<GgufItem>& items) {
  constexpr uint32_t kMostlyF16 = 1;
  std::map<uint32_t, int64_t> elements;
  for (const GgufItem& tensor : items)
    if (tensor.grid != nullptr) elements[tensor.grid->file_type] += c10::multiply_integers(tensor.sizes);
  const auto most = std::max_element(elements.begin(), elements.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == elements.end() ? kMostlyF16 : most->first;
}

std::string gguf_file_of(const ExportRequest& request) {
  return request.prefix + ".gguf";
}

std::vector<GgufItem> items_of(const ExportRequest& request, const GgufSource& source) {
  Objections objections;
  std::vector<GgufItem> items =
      list_gguf_items(request.sim, source, request.options.source.names, objections);
  objections.raise();
  return items;
}

GgufMetadata metadata_of(const ExportRequest& request, const GgufSource& source,
                         const std::vector<GgufItem>& items) {
  GgufMetadata metadata = source.metadata;
  set_value(metadata, "general.file_type", file_type(items));
  set_value(metadata, "general.quantization_version", uint32_t{2});
  for (const auto& [key, value] : producer_metadata(request))
    if (key != "adascale.weights") set_value(metadata, key, value);  // the tensors' types tell it
  return metadata;
}

void write_gguf_file(const ExportRequest& request, StagedFiles& files) {
  const GgufSource source = open_gguf_source(request.options.source.path);
  const std::vector<GgufItem> items = items_of(request, source);
  std::vector<GgufEntry> entries;
  for (const GgufItem& tensor : items) entries.push_back(gguf_entry(tensor, request.sim, source));
  write_gguf(files.path(gguf_file_of(request)), metadata_of(request, source, items), entries);
}

void expect_metadata(const std::string& path, const GgufMetadata& got, const GgufMetadata& expected) {
  ADA_CHECK(got.size() == expected.size(), "{}: got {} keys, expected {}", path, got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    ADA_CHECK(got[i].first == expected[i].first && is_same(got[i].second, expected[i].second),
              "{}: {}: got another value than was written", path, expected[i].first);
}

void read_back_gguf_file(const ExportRequest& request, const StagedFiles& files) {
  const std::string& path = files.aside(gguf_file_of(request));
  const GgufSource source = open_gguf_source(request.options.source.path);
  const std::vector<GgufItem> items = items_of(request, source);
  const GgufFile file = read_gguf(path, Mapping::kReadOnly);
  expect_metadata(path, file.metadata, metadata_of(request, source, items));
  ADA_CHECK(file.tensors.size() == items.size(), "{}: got {} tensors, expected {}", path, file.tensors.size(),
            items.size());
  Pass pass = pass_reading_back(path, items.size());
  for (const GgufItem& item : items) {
    expect_item(file, item, request.sim, source);
    pass.step();
  }
}

PreparedFormat prepare_gguf(const ExportRequest& request) {
  Objections objections, unreadable;
  check_target(request, objections);
  unreadable.gather([&] {
    const GgufSource source = open_gguf_source(request.options.source.path);
    list_gguf_items(request.sim, source, request.options.source.names, objections);
  });
  for (const std::string& text : unreadable.texts()) objections.add("gguf: {}", text);
  return {.objections = objections.texts(),
          .files = {gguf_file_of(request)},
          .write = write_gguf_file,
          .read_back = read_back_gguf_file};
}

}  // namespace

ExportFormat gguf_format() {
  return {.name = "gguf",
          .description =
              "llama.cpp's file, from a transformers folder (Llama, Qwen2, Qwen3) or a .gguf; "
              "gguf:Q4_K trains that type's blocks",
          .files = {"PREFIX.gguf"},
          .how_to_load = "llama-cli -m PREFIX.gguf -p 'Once upon a time'",
          .targets = target_names(),
          .weights_as = WeightsAs::kCodes,
          .holds_signed_scales = true,
          .fit =
              [](const std::string& target) {
                return [target](const Layer& layer, const at::Tensor& weight, const Grid& asked) {
                  return fit_gguf(target, layer, weight, asked);
                };
              },
          .prepare = prepare_gguf};
}

}  // namespace adascale
