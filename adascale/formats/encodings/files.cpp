#include "adascale/formats/encodings/files.h"

#include <nlohmann/json.hpp>

#include "adascale/core/error.h"
#include "adascale/formats/encodings/entries.h"
#include "adascale/formats/saved_state.h"
#include "adascale/formats/version.h"

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

json quantizer_args(const QuantizationSimModel& sim) {
  bool symmetric = sim.options().symmetric, per_channel = false;
  for (const QuantizedWeight& weight : sim.weights()) {
    symmetric = symmetric && weight.grid.symmetric;
    per_channel = per_channel || weight.grid.per_channel();
  }
  return {{"activation_bitwidth", sim.options().default_output_bw},
          {"dtype", "int"},
          {"is_symmetric", symmetric},
          {"param_bitwidth", sim.options().default_param_bw},
          {"per_channel_quantization", per_channel},
          {"quant_scheme", scheme_name(sim.options().quant_scheme)}};
}

json excluded_layers(const QuantizationSimModel& sim) {
  json names = json::array();
  for (const Layer& layer : sim.excluded()) names.push_back(layer.name);
  return names;
}

}  // namespace

void write_producer(std::ostream& out, const std::string& version) {
  out << "{\n\"producer\": " << json{{"package", "adascale"}, {"version", kVersion}}.dump();
  out << ",\n\"version\": " << json(version).dump();
}

void write_settings(std::ostream& out, const QuantizationSimModel& sim) {
  out << ",\n\"excluded_layers\": " << excluded_layers(sim).dump();
  out << ",\n\"quantizer_args\": " << quantizer_args(sim).dump(4);
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

void write_weights_by_name(std::ostream& out, const QuantizationSimModel& sim) {
  Members members(out, '{', '}');
  visit_weights(sim, [&](const EncodingRecord& record) {
    members.next() << json(record.name).dump() << ": ";
    write_legacy_entries(out, record);
  });
  members.end();
}

}  // namespace adascale
