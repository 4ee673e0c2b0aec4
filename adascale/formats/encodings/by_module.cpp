#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/formats/encodings/entries.h"
#include "adascale/formats/encodings/files.h"

namespace adascale {
namespace {

using nlohmann::json;

/// Module -> "input" or "output" -> index -> entry.
json entries_by_module(const std::vector<EncodedPart>& parts) {
  json entries = json::object();
  for (const auto& [sim, path] : parts) {
    for (const ActivationQuantizer& quantizer : sim.activations()) {
      if (!quantizer.encoding) continue;
      const std::string module = name_in_model(quantizer.module, path);
      json& entry = entries[module][quantizer.port][std::to_string(quantizer.index)];
      ADA_ASSERT(entry.is_null(), fmt::format("two quantizers of {} {}", module, quantizer.port));
      entry = legacy_entry(record_of(quantizer, module));
    }
  }
  return entries;
}

}  // namespace

std::string name_in_model(const std::string& module, const std::string& path) {
  const bool is_own = path.empty() || module == path || module.starts_with(path + ".");
  return is_own ? module : path + "." + module;
}

std::string version_by_module(const std::string& version) {
  return version == "0.6.1" ? version : "1.0.0";
}

void write_encodings_by_module(std::ostream& out, const std::vector<EncodedPart>& parts,
                               const std::vector<std::string>& excluded, const std::string& version) {
  write_producer(out, version_by_module(version));
  out << ",\n\"activation_encodings\": " << entries_by_module(parts).dump(4);
  out << ",\n\"param_encodings\": ";
  write_weights_by_name(out, parts);
  write_settings(out, parts, excluded);
  out << "\n}\n";
}

}  // namespace adascale
