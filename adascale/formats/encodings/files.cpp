#include "adascale/formats/encodings/files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/core/version.h"
#include "adascale/formats/encodings/entries.h"
#include "adascale/formats/saved_state.h"

namespace adascale {
namespace {

using nlohmann::json;

/// AIMET's name of the scheme; a range-learning scheme is written as the one that it starts from.
std::string scheme_name(QuantScheme scheme) {
  switch (scheme) {
    case QuantScheme::post_training_tf:
    case QuantScheme::training_range_learning_with_tf_init:
      return "min_max";
    case QuantScheme::post_training_tf_enhanced:
    case QuantScheme::training_range_learning_with_tf_enhanced_init:
      return "post_training_tf_enhanced";
    case QuantScheme::post_training_percentile:
      return "post_training_percentile";
  }
  ADA_ASSERT(false, "quant scheme without a name");
}

json quantizer_args(const std::vector<EncodedPart>& parts) {
  const SimOptions& options = parts.front().sim.options();
  bool symmetric = options.symmetric, per_channel = false;
  for (const EncodedPart& part : parts) {
    for (const QuantizedWeight& weight : part.sim.weights()) {
      symmetric = symmetric && weight.grid.symmetric;
      per_channel = per_channel || weight.grid.per_channel();
    }
  }
  return {{"activation_bitwidth", options.default_output_bw},
          {"dtype", "int"},
          {"is_symmetric", symmetric},
          {"param_bitwidth", options.default_param_bw},
          {"per_channel_quantization", per_channel},
          {"quant_scheme", scheme_name(options.quant_scheme)}};
}

}  // namespace

std::vector<std::string> excluded_layers(const QuantizationSimModel& sim) {
  std::vector<std::string> names;
  for (const Layer& layer : sim.unquantized().excluded) names.push_back(layer.name);
  return names;
}

void write_producer(std::ostream& out, const std::string& version) {
  out << "{\n\"producer\": " << json{{"package", "adascale"}, {"version", kVersion}}.dump();
  out << ",\n\"version\": " << json(version).dump();
}

void write_settings(std::ostream& out, const std::vector<EncodedPart>& parts,
                    const std::vector<std::string>& excluded) {
  out << ",\n\"excluded_layers\": " << json(excluded).dump();
  out << ",\n\"quantizer_args\": " << quantizer_args(parts).dump(4);
}

void visit_weights(const QuantizationSimModel& sim, const std::function<void(const EncodingRecord&)>& visit) {
  for (const SavedTensor& saved : saved_state(sim)) {
    if (saved.weight == kNone) continue;
    EncodingRecord record = record_of(sim.weight_encoding(saved.weight));
    for (const std::string& name : saved.names) {
      record.name = name;
      visit(record);
    }
  }
}

void write_weights_by_name(std::ostream& out, const std::vector<EncodedPart>& parts) {
  Members members(out, '{', '}');
  for (const EncodedPart& part : parts)
    visit_weights(part.sim, [&](const EncodingRecord& record) {
      members.next() << json(record.name).dump() << ": ";
      write_legacy_entries(out, record);
    });
  members.end();
}

}  // namespace adascale
