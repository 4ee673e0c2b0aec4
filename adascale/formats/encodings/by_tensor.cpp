#include <nlohmann/json.hpp>

#include "adascale/formats/encodings/entries.h"
#include "adascale/formats/encodings/files.h"

namespace adascale {
namespace {

using nlohmann::json;

/// Model inputs keep their names; results of nodes have their values' names.
std::string onnx_name(const Program& program, ValueId value) {
  const ProgramInput* input = program.input_of(value);
  return input ? input->name : program.values[value].name;
}

void write_0_6_1(std::ostream& out, const QuantizationSimModel& sim) {
  json activations = json::object();
  for (const EncodingRecord& record : activation_records(sim))
    activations[record.name] = json::array({legacy_entry(record)});
  out << ",\n\"activation_encodings\": " << activations.dump(4) << ",\n\"param_encodings\": ";
  write_weights_by_name(out, {EncodedPart{sim}});
  write_settings(out, {EncodedPart{sim}}, excluded_layers(sim));
}

void write_1_0_0(std::ostream& out, const QuantizationSimModel& sim) {
  Members activations(out << ",\n\"activation_encodings\": ", '[', ']');
  for (const EncodingRecord& record : activation_records(sim))
    activations.next() << entry_1_0_0(record).dump();
  activations.end();
  Members weights(out << ",\n\"param_encodings\": ", '[', ']');
  visit_weights(sim, [&](const EncodingRecord& record) { weights.next() << entry_1_0_0(record).dump(); });
  weights.end();
  write_settings(out, {EncodedPart{sim}}, excluded_layers(sim));
}

void write_2(std::ostream& out, const QuantizationSimModel& sim, const std::string& version) {
  Members entries(out << ",\n\"encodings\": ", '[', ']');
  const auto add = [&](const EncodingRecord& record) { entries.next() << entry_2(record, version).dump(); };
  visit_weights(sim, add);
  for (const EncodingRecord& record : bias_records(sim)) add(record);
  for (const EncodingRecord& record : activation_records(sim)) add(record);
  entries.end();
}

}  // namespace

std::vector<EncodingRecord> activation_records(const QuantizationSimModel& sim) {
  std::vector<EncodingRecord> records;
  for (const ActivationQuantizer& quantizer : sim.activations())
    if (quantizer.encoding)
      records.push_back(record_of(quantizer, onnx_name(sim.program(), quantizer.value)));
  return records;
}

void write_encodings_by_tensor(std::ostream& out, const QuantizationSimModel& sim,
                               const std::string& version) {
  write_producer(out, version);
  if (version == "0.6.1") {
    write_0_6_1(out, sim);
  } else if (version == "1.0.0") {
    write_1_0_0(out, sim);
  } else {
    write_2(out, sim, version);
  }
  out << "\n}\n";
}

}  // namespace adascale
