#include "adascale/run/setup_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "adascale/run/text.h"
#include "adascale/run/weight_size.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

constexpr char kNothing[] = "  (nothing)\n";

std::string describe_sizes(const Value& value) {
  std::vector<std::string> sizes;
  for (const Dim& dim : value.sizes) sizes.push_back(dim.is_fixed() ? std::to_string(dim.size) : dim.symbol);
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

std::string describe_input(const Program& program, const ProgramInput& input) {
  if (input.value == kNone) return fmt::format("  {}  fixed when the model was exported\n", input.name);
  const Value& value = program.values[input.value];
  if (value.kind != ValueKind::kTensor) return fmt::format("  {}  a number\n", input.name);
  return fmt::format("  {}  {} {}\n", input.name, c10::toString(value.dtype), describe_sizes(value));
}

/// The block that trains the layer, or the reason why none does.
std::string trainer_of(const QuantizationSimModel& sim, const QuantizedWeight& weight,
                       const std::vector<Block>& blocks) {
  const std::string reason = reason_not_trained(sim, weight, blocks);
  if (!reason.empty()) return "no: " + reason;
  const auto trains = [&](const Block& block) {
    return std::find(block.nodes.begin(), block.nodes.end(), weight.layer.nodes.front()) != block.nodes.end();
  };
  const auto block = std::find_if(blocks.begin(), blocks.end(), trains);
  return block == blocks.end() ? "" : block->name;
}

std::string reason_left_out(const Layer& layer, const std::vector<std::string>& outside) {
  return std::find(outside.begin(), outside.end(), layer.name) != outside.end()
             ? "outside every block"
             : "by the layer settings or the config";
}

}  // namespace

std::string describe_inputs(const Program& program) {
  std::string text;
  for (const ProgramInput* input : program.user_inputs()) text += describe_input(program, *input);
  return text;
}

std::string describe_layers(const Setup& setup) {
  if (setup.sim.weights().empty()) return kNothing;
  std::vector<Row> rows = {{"layer", "kind", "shape", "grid", "trained in"}};
  for (const QuantizedWeight& weight : setup.sim.weights()) {
    const at::Tensor& w = setup.sim.program().state.at(weight.layer.parameters.front());
    rows.push_back({weight.layer.name, weight.layer.kind->name, fmt::format("{}", fmt::join(w.sizes(), "x")),
                    to_string(weight.grid), trainer_of(setup.sim, weight, setup.trained)});
  }
  return format_table(rows);
}

std::string describe_left_out(const Setup& setup) {
  std::string text;
  for (const Layer& layer : setup.sim.excluded())
    text +=
        fmt::format("  {} ({}): {}\n", layer.name, layer.kind->name, reason_left_out(layer, setup.outside));
  for (const PassedOver& layer : setup.sim.passed_over())
    text += fmt::format("  {}: {}\n", layer.name, layer.reason);
  return text.empty() ? kNothing : text;
}

std::string describe_batch_norms(const Setup& setup) {
  std::string text;
  for (const FoldedBatchNorm& norm : setup.sim.program().folded_batch_norms)
    text += fmt::format("  {}: folded into {}\n", norm.name, norm.into);
  for (const KeptBatchNorm& norm : setup.sim.kept_batch_norms())
    text += fmt::format("  {}: stays: {}\n", norm.name, norm.reason);
  return text.empty() ? kNothing : text;
}

std::string summarize(const Setup& setup) {
  std::map<std::string, int> grids;
  for (const QuantizedWeight& weight : setup.sim.weights()) ++grids[to_string(weight.grid)];
  std::vector<std::string> counts;
  for (const auto& [grid, count] : grids) counts.push_back(fmt::format("{} {}", count, grid));
  const size_t activations = setup.sim.activations().size();
  return fmt::format("{} blocks, {} layers to quantize ({}); {}", setup.blocks.size(),
                     setup.sim.weights().size(), fmt::join(counts, ", "),
                     activations == 0 ? "activations in full precision"
                                      : fmt::format("{} activations on grids", activations));
}

std::string describe_size(const QuantizationSimModel& sim) {
  const ModelSize size = size_of(sim);
  return fmt::format("{} -> {}, the quantized layers {} -> {}", format_bytes(size.before()),
                     format_bytes(size.after()), format_bytes(size.layers_before),
                     format_bytes(size.layers_after));
}

}  // namespace adascale
