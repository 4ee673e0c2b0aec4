#include "adascale/run/stored_report.h"

#include <algorithm>
#include <optional>

#include "adascale/core/error.h"
#include "adascale/formats/format.h"
#include "adascale/run/optional_json.h"
#include "adascale/sim/json_reader.h"

namespace adascale {
namespace {

using json = nlohmann::ordered_json;

std::optional<double> number_or_null(const std::optional<JsonReader>& value) {
  return value && !value->is_null() ? std::optional(value->number()) : std::nullopt;
}

/// The format with which the run wrote the file; none: it wrote others.
std::optional<std::string> format_of(const JsonReader& report, const std::string& file) {
  std::optional<std::string> found;
  for (const JsonReader& format : report.get("formats").items())
    for (const JsonReader& written : format.get("files").items())
      if (written.text() == file) found = format.get("name").text();
  return found;
}

bool holds_activations(const std::string& name) {
  const std::deque<ExportFormat>& formats = export_formats();
  return std::any_of(formats.begin(), formats.end(), [&](const ExportFormat& format) {
    return format.name == name && format.holds_activations;
  });
}

void add_weights(const JsonReader& layers, json& weights) {
  for (const JsonReader& layer : layers.items())
    weights.push_back({{"name", layer.get("name").text()},
                       {"grid", layer.get("grid").text()},
                       {"sqnr_db", optional_json(number_or_null(layer.find("sqnr_db")))}});
}

json weights_of(const JsonReader& report) {
  json weights = json::array();
  for (const JsonReader& block : report.get("blocks").items()) add_weights(block.get("layers"), weights);
  add_weights(report.get("rounded"), weights);
  return weights;
}

/// Those that are not turned off.
int64_t count_activations(const JsonReader& report) {
  const std::vector<JsonReader> all = report.get("activations").items();
  return std::count_if(all.begin(), all.end(),
                       [](const JsonReader& range) { return range.get("off").text().empty(); });
}

json activations_of(const JsonReader& report) {
  json activations = json::array();
  for (const JsonReader& range : report.get("activations").items())
    activations.push_back({{"value", range.get("value").text()},
                           {"module", range.get("module").text()},
                           {"port", range.get("port").text()},
                           {"bits", range.get("bits").integer()},
                           {"off", range.get("off").text()},
                           {"min", optional_json(number_or_null(range.find("min")))},
                           {"max", optional_json(number_or_null(range.find("max")))}});
  return activations;
}

json read(const JsonReader& report, const std::string& file) {
  const std::optional<std::string> format = format_of(report, file);
  if (!format) return nullptr;
  const bool holds = holds_activations(*format);
  return {{"by", report.get("adascale").text()},
          {"recipe", report.get("recipe").text()},
          {"summary", {{"verdict", report.get("summary").get("verdict").text()}}},
          {"weights", weights_of(report)},
          {"activations", holds ? activations_of(report) : json::array()},
          {"activations_not_held", holds ? 0 : count_activations(report)}};
}

}  // namespace

json read_stored_report(const std::string& text, const std::string& path, const std::string& file) {
  try {
    const json document = parse_json(text, path);
    const JsonReader report(document, path);
    return report.is_object() && report.find("adascale.plan") ? read(report, file) : json(nullptr);
  } catch (const Error& error) {  // boundary: adds the cure
    fail("{}; the report is damaged: move it away, or quantize again", error.what());
  }
}

}  // namespace adascale
