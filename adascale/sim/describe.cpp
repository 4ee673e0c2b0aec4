#include "adascale/sim/describe.h"

#include <fmt/ranges.h>

#include <map>

namespace adascale {
namespace {

/// Lines to print under a module's path.
using Notes = std::multimap<std::string, std::string>;

std::string short_type(const std::string& type) {
  return type.substr(type.rfind('.') + 1);
}

std::string owner_of(const std::string& layer_name, const Program& program, const Layer& layer) {
  const CallId call = program.nodes[layer.nodes.front()].call;
  return call == kNone ? layer_name : program.calls[call].label();
}

const char* how_decided(const QuantizedWeight& weight) {
  if (weight.loaded) return "loaded";
  return weight.trained ? "AdaScale" : "round-to-nearest";
}

std::string describe_weight(const QuantizedWeight& weight, const QuantizationSimModel& sim) {
  const std::string& name = weight.layer.parameters.front();
  return fmt::format("{} {} {}, {}", name, fmt::join(sim.program().state.at(name).sizes(), "x"),
                     to_string(weight.grid), how_decided(weight));
}

std::string describe_activation(const ActivationQuantizer& quantizer) {
  std::string text = fmt::format("{} {} int{} {}", quantizer.port, quantizer.index, quantizer.bits,
                                 quantizer.symmetric ? "symmetric" : "asymmetric");
  if (quantizer.encoding)
    return text + fmt::format(", {:.4g} to {:.4g}", quantizer.encoding->min, quantizer.encoding->max);
  return text + (quantizer.off_reason.empty() ? ", no encoding yet" : ", off: " + quantizer.off_reason);
}

Notes gather_notes(const QuantizationSimModel& sim) {
  Notes notes;
  for (const QuantizedWeight& weight : sim.weights())
    notes.emplace(owner_of(weight.layer.name, sim.program(), weight.layer), describe_weight(weight, sim));
  for (const Layer& layer : sim.excluded())
    notes.emplace(owner_of(layer.name, sim.program(), layer),
                  layer.parameters.front() + " in full precision");
  for (const ActivationQuantizer& quantizer : sim.activations())
    notes.emplace(quantizer.module, describe_activation(quantizer));
  return notes;
}

void print_call(const Program& program, CallId id, int depth, Notes& notes, std::string& text) {
  const ModuleCall& call = program.calls[id];
  text += fmt::format("{:{}}{} ({})\n", "", 2 * depth, call.label(), short_type(call.type));
  const auto [begin, end] = notes.equal_range(call.label());
  for (auto note = begin; note != end; ++note)
    text += fmt::format("{:{}}- {}\n", "", 2 * depth + 2, note->second);
  notes.erase(begin, end);
  for (const CallId child : call.children) print_call(program, child, depth + 1, notes, text);
}

}  // namespace

std::string describe_sim(const QuantizationSimModel& sim) {
  const SimOptions& options = sim.options();
  std::string text =
      fmt::format("QuantizationSimModel: {}, param_bw {}, output_bw {}, {} weights, {} activations\n",
                  to_string(options.quant_scheme), options.default_param_bw, options.default_output_bw,
                  sim.weights().size(), sim.activations().size());
  Notes notes = gather_notes(sim);
  const Program& program = sim.program();
  for (CallId id = 0; id < static_cast<CallId>(program.calls.size()); ++id)
    if (program.calls[id].parent == kNone) print_call(program, id, 1, notes, text);
  for (const auto& [owner, note] : notes) text += fmt::format("  {}\n    - {}\n", owner, note);
  for (const PassedOver& layer : sim.passed_over())
    text += fmt::format("  not quantized: {}: {}\n", layer.name, layer.reason);
  for (const FoldedBatchNorm& norm : program.folded_batch_norms)
    text += fmt::format("  batch norm: {} folded into {}\n", norm.name, norm.into);
  for (const KeptBatchNorm& norm : sim.kept_batch_norms())
    text += fmt::format("  batch norm: {} stays: {}\n", norm.name, norm.reason);
  return text;
}

}  // namespace adascale
