#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/formats/encodings/entries.h"
#include "adascale/formats/encodings/files.h"

namespace adascale {
namespace {

using nlohmann::json;

/// Module -> "input" or "output" -> index -> entry.
json entries_by_module(const QuantizationSimModel& sim) {
  json entries = json::object();
  for (const ActivationQuantizer& quantizer : sim.activations()) {
    if (!quantizer.encoding) continue;
    json& entry = entries[quantizer.module][quantizer.port][std::to_string(quantizer.index)];
    ADA_ASSERT(entry.is_null(), fmt::format("two quantizers of {} {}", quantizer.module, quantizer.port));
    entry = legacy_entry(record_of(quantizer, quantizer.module));
  }
  return entries;
}

}  // namespace

void write_encodings_by_module(std::ostream& out, const QuantizationSimModel& sim,
                               const std::string& version) {
  write_producer(out, version == "0.6.1" ? version : "1.0.0");
  out << ",\n\"activation_encodings\": " << entries_by_module(sim).dump(4);
  out << ",\n\"param_encodings\": ";
  write_weights_by_name(out, sim);
  write_settings(out, sim);
  out << "\n}\n";
}

}  // namespace adascale
