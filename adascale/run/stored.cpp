#include "adascale/run/stored.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adascale/formats/folder_files.h"
#include "adascale/io/archive.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

/// Whether the report is of a run that wrote the file, or the folder itself.
bool tells_of(const json& report, const fs::path& model) {
  if (!report.is_object() || !report.contains("adascale.plan") || !report.contains("formats")) return false;
  const std::string file = fs::is_directory(model) ? "config.json" : model.filename().string();
  const json& formats = report["formats"];
  return std::any_of(formats.begin(), formats.end(), [&](const json& format) {
    const json files = format.value("files", json::array());
    return std::find(files.begin(), files.end(), json(file)) != files.end();
  });
}

json report_beside(const fs::path& model) {
  std::ifstream in((fs::is_directory(model) ? model : model.parent_path()) / kReportFile);
  json report = json::parse(in, nullptr, /*allow_exceptions=*/false);
  return tells_of(report, model) ? report : json(nullptr);
}

json from_report(const json& report) {
  json weights = json::array();
  for (const json& block : report.value("blocks", json::array()))
    for (const json& layer : block.value("layers", json::array()))
      weights.push_back(
          {{"name", layer.at("name")}, {"grid", layer.at("grid")}, {"sqnr_db", layer.at("sqnr_db")}});
  return {{"by", report.at("adascale")},
          {"recipe", report.value("recipe", "")},
          {"summary", report.value("summary", json(nullptr))},
          {"weights", weights},
          {"activations", report.value("activations", json::array())}};
}

/// A .pt2 says which grids its weights are on.
json from_metadata(const fs::path& model) {
  if (model.extension() != ".pt2") return nullptr;
  Archive archive(model.string());
  if (!archive.has("extra/adascale.json")) return nullptr;
  const json metadata = json::parse(archive.text("extra/adascale.json"), nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object()) return nullptr;
  const json grids = json::parse(metadata.value("adascale.weights", ""), nullptr, /*allow_exceptions=*/false);
  json weights = json::array();
  if (grids.is_object())
    for (const auto& [name, grid] : grids.items())
      weights.push_back({{"name", name}, {"grid", grid}, {"sqnr_db", nullptr}});
  return {{"by", metadata.value("adascale.version", "")},
          {"recipe", metadata.value("adascale.recipe", "")},
          {"summary", nullptr},
          {"weights", weights},
          {"activations", json::array()}};
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

std::string stored_json(const std::string& model, const std::vector<StoredQuantizer>& quantizers) {
  const json report = report_beside(model);
  json stored = report.is_null() ? from_metadata(model) : from_report(report);
  if (quantizers.empty()) return stored.dump();
  if (stored.is_null())
    stored = {{"by", nullptr}, {"recipe", ""}, {"summary", nullptr}, {"weights", json::array()}};
  if (!stored.contains("activations") || stored["activations"].empty())
    stored["activations"] = to_json(quantizers);
  return stored.dump();
}

}  // namespace adascale
