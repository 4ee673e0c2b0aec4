#include "adascale/run/stored.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "adascale/formats/folder_files.h"
#include "adascale/io/archive.h"
#include "adascale/run/stored_report.h"
#include "adascale/sim/json_reader.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

/// null: there is none of the run that wrote the model.
json report_beside(const fs::path& model) {
  const bool is_folder = fs::is_directory(model);
  const fs::path report = (is_folder ? model : model.parent_path()) / kReportFile;
  if (!fs::exists(report)) return nullptr;
  return read_stored_report(read_text_file(report.string(), "a run's report"), report.string(),
                            is_folder ? "config.json" : model.filename().string());
}

/// A .pt2 says which grids its weights are on.
json from_metadata(const fs::path& model) {
  constexpr char kRecord[] = "extra/adascale.json";
  if (model.extension() != ".pt2") return nullptr;
  Archive archive(model.string());
  if (!archive.has(kRecord)) return nullptr;
  const std::string origin = fmt::format("{}: {}", model.string(), kRecord);
  const json document = parse_json(archive.text(kRecord), origin);
  const JsonReader metadata(document, origin);
  const auto recipe = metadata.find("adascale.recipe");
  const json grids = parse_json(metadata.get("adascale.weights").text(), origin + ": adascale.weights");
  json weights = json::array();
  for (const auto& [name, grid] : JsonReader(grids, origin).members())
    weights.push_back({{"name", name}, {"grid", grid.text()}, {"sqnr_db", nullptr}});
  return {{"by", metadata.get("adascale.version").text()},
          {"recipe", recipe ? recipe->text() : ""},
          {"summary", nullptr},
          {"weights", weights},
          {"activations", json::array()},
          {"activations_not_held", 0}};
}

/// As report.json has them.
json to_json(const std::vector<StoredQuantizer>& quantizers) {
  json activations = json::array();
  for (const StoredQuantizer& one : quantizers)
    activations.push_back({{"value", one.value},
                           {"module", one.module},
                           {"port", "output"},
                           {"bits", one.bits},
                           {"off", ""},
                           {"min", one.min},
                           {"max", one.max}});
  return activations;
}

}  // namespace

int64_t activations_not_held(const std::string& model) {
  const json report = report_beside(model);
  return report.is_null() ? 0 : report.at("activations_not_held").get<int64_t>();
}

std::string stored_json(const std::string& model, const std::vector<StoredQuantizer>& quantizers) {
  json report = report_beside(model);
  json stored = report.is_null() ? from_metadata(model) : std::move(report);
  if (quantizers.empty()) return stored.dump();
  if (stored.is_null())
    stored = {{"by", nullptr},
              {"recipe", ""},
              {"summary", nullptr},
              {"weights", json::array()},
              {"activations", json::array()},
              {"activations_not_held", 0}};
  if (stored["activations"].empty()) stored["activations"] = to_json(quantizers);
  return stored.dump();
}

}  // namespace adascale
