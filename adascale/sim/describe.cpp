#include "adascale/sim/describe.h"

#include <fmt/ranges.h>

#include <map>

#include "adascale/core/spelling.h"
#include "adascale/sim/parts.h"

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
  for (const Layer& layer : sim.unquantized().excluded)
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

std::string describe_settings(const SimOptions& options) {
  return fmt::format("QuantizationSimModel: {}, {}, {}", to_string(options.quant_scheme),
                     option("param_bw", options.default_param_bw),
                     option("output_bw", options.default_output_bw));
}

std::string count_quantizers(const QuantizationSimModel& sim) {
  return fmt::format("{} weights, {} activations", sim.weights().size(), sim.activations().size());
}

/// The calls from `first` on, each indented by its depth, and the layers that have no quantizer.
std::string describe_calls_of(const QuantizationSimModel& sim, const std::vector<CallId>& first, int depth) {
  std::string text;
  Notes notes = gather_notes(sim);
  const Program& program = sim.program();
  for (const CallId call : first) print_call(program, call, depth, notes, text);
  const int indent = 2 * depth;
  for (const auto& [owner, note] : notes)
    text += fmt::format("{:{}}{}\n{:{}}- {}\n", "", indent, owner, "", indent + 2, note);
  for (const PassedOver& layer : sim.unquantized().passed_over)
    text += fmt::format("{:{}}not quantized: {}: {}\n", "", indent, layer.name, layer.reason);
  for (const FoldedBatchNorm& norm : program.folded_batch_norms)
    text += fmt::format("{:{}}batch norm: {} folded into {}\n", "", indent, norm.name, norm.into);
  for (const KeptBatchNorm& norm : sim.unquantized().batch_norms)
    text += fmt::format("{:{}}batch norm: {} stays: {}\n", "", indent, norm.name, norm.reason);
  return text;
}

std::vector<CallId> roots_of(const Program& program) {
  std::vector<CallId> roots;
  for (CallId id = 0; id < static_cast<CallId>(program.calls.size()); ++id)
    if (program.calls[id].parent == kNone) roots.push_back(id);
  return roots;
}

/// The root of a part's program is a shell around its module.
std::vector<CallId> calls_in_shell(const Program& program) {
  std::vector<CallId> calls;
  for (const CallId root : roots_of(program))
    for (const CallId child : program.calls[root].children) calls.push_back(child);
  return calls;
}

}  // namespace

std::string describe_sim(const QuantizationSimModel& sim) {
  return fmt::format("{}, {}\n", describe_settings(sim.options()), count_quantizers(sim)) +
         describe_calls_of(sim, roots_of(sim.program()), 1);
}

std::string describe_parts(const PartedModel& model) {
  std::string text = fmt::format("{}, block by block: {}\n",
                                 describe_settings(model.parts.front().sim.options()), model.refusal);
  for (const auto& [sim, path] : model.parts) {
    text += fmt::format("  block {}: {}\n", path, count_quantizers(sim));
    text += describe_calls_of(sim, calls_in_shell(sim.program()), 2);
  }
  for (const auto& [path, reason] : model.not_captured)
    text += fmt::format("  not captured: {}: {}\n", path, reason);
  for (const std::string& name : model.outside)
    text += fmt::format("  full precision: {}: outside every captured block\n", name);
  return text;
}

}  // namespace adascale
