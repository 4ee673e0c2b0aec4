#include "adascale/tune/fingerprint.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/passes.h"
#include "adascale/core/version.h"
#include "adascale/io/digest.h"
#include "adascale/kernels/weight_rows.h"
#include "adascale/quant/forms/form.h"

#include <torch/version.h>

namespace adascale {
namespace {

void add(Digest& digest, const Argument& argument) {
  digest.add(static_cast<int64_t>(argument.kind));
  digest.add(static_cast<int64_t>(argument.value));
  digest.add_value(argument.literal);
  for (const Argument& item : argument.items) add(digest, item);
}

std::vector<std::string> names_of_state(const Program& program) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : program.state) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

/// Inputs, nodes with their operands, outputs, and the shapes of the tensors by name.
void add_program(Digest& digest, const QuantizationSimModel& sim) {
  const Program& program = sim.program();
  for (const ProgramInput& input : program.inputs) {
    digest.add(static_cast<int64_t>(input.kind));
    digest.add(input.name);
    digest.add_value(input.constant);
  }
  for (const Argument& output : program.outputs) add(digest, output);
  for (const Node& node : program.nodes) {
    digest.add(node.target);
    for (const auto& [name, argument] : node.inputs) {
      digest.add(name);
      add(digest, argument);
    }
  }
  for (const std::string& name : names_of_state(program)) {
    const at::Tensor& tensor = program.state.at(name);
    digest.add(name);
    digest.add(static_cast<int64_t>(tensor.scalar_type()));
    for (const int64_t size : tensor.sizes()) digest.add(size);
  }
}

void add_weights(Digest& digest, const QuantizationSimModel& sim) {
  const Program& program = sim.program();
  const std::vector<std::string> names = names_of_state(program);
  Pass pass("digest of the model", static_cast<int64_t>(names.size()));
  for (const std::string& name : names) {
    digest.add(program.state.at(name));
    pass.step();
  }
}

void add_grid(Digest& digest, const QuantizedWeight& weight) {
  const Grid& grid = weight.grid;
  for (const std::string& name : weight.layer.parameters) digest.add(name);
  digest.add(grid.form->name());
  for (const int64_t number :
       {static_cast<int64_t>(grid.bits), static_cast<int64_t>(grid.symmetric),
        static_cast<int64_t>(grid.signed_scale), grid.channel_axis, grid.group_axis, grid.group_size,
        static_cast<int64_t>(grid.scale_dtype), int64_t{grid.block_scale_bits}, grid.superblock_size,
        static_cast<int64_t>(weight.may_train)})
    digest.add(number);
  for (const int64_t axis : grid.stack_axes) digest.add(axis);
}

void add_grids(Digest& digest, const QuantizationSimModel& sim) {
  for (const QuantizedWeight& weight : sim.weights()) add_grid(digest, weight);
}

void add_ranges(Digest& digest, const QuantizationSimModel& sim) {
  for (const QuantizedWeight& weight : sim.weights()) {
    digest.add(weight.range.min);
    digest.add(weight.range.max);
    if (weight.encoding) digest.add(weight.encoding->codes);  // decided already, by a file
  }
}

/// `give` adds each simulation's part.
template <class Give>
std::string digest_over(const std::vector<const QuantizationSimModel*>& sims, const Give& give) {
  Digest digest;
  for (const QuantizationSimModel* sim : sims) give(digest, *sim);
  return digest.hex();
}

std::string names_of_blocks(const TrainingPlan& plan) {
  std::vector<std::string> names;
  for (const PartPlan& part : plan.parts)
    for (const Block& block : part.blocks) names.push_back(block.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string digest_of(const std::vector<Inputs>& batches) {
  Digest digest;
  for (const Inputs& batch : batches)
    for (const c10::IValue& input : batch) digest.add_value(input);
  return digest.hex();
}

namespace {

/// Processes of a team have devices of different numbers.
std::string name_of(c10::Device device, const Team& team) {
  return team.size() == 1 ? device.str() : c10::DeviceTypeName(device.type(), /*lower_case=*/true);
}

}  // namespace

std::set<std::string> options_behind(const std::string& field) {
  static const std::map<std::string, std::set<std::string>> table = {
      {"program", {"model", "fold_batch_norms"}},
      {"weights", {"model"}},
      {"grids",
       {"param_bw", "grid", "group_size", "decompressed_bw", "symmetric", "scale_sign", "outside_bw",
        "config", "formats", "recipe", "target_bits", "target_size", "target_widths", "train_outside"}},
      {"data", {"model", "data", "samples", "seq_len", "packing", "data_weights", "batch_size", "seed"}},
      {"blocks", {"blocks", "train_outside"}},
      {"iterations", {"iterations", "epochs", "accumulate", "held_out_batches", "recipe"}},
      {"epochs", {"epochs", "iterations"}},
      {"precision", {"precision", "recipe"}},
      {"held_out_batches", {"held_out_batches", "recipe"}}};
  const auto found = table.find(field);
  return found == table.end() ? std::set<std::string>{field} : found->second;
}

Fingerprint fingerprint_of(const TrainingPlan& plan, const std::vector<const QuantizationSimModel*>& sims,
                           WeightsIn weights) {
  const AdaScaleOptions& options = plan.options;
  Fingerprint::Fields numbers;
  if (weights == WeightsIn::kFingerprint)
    numbers = {{"weights", digest_over(sims, add_weights)}, {"ranges", digest_over(sims, add_ranges)}};
  Fingerprint fingerprint{
      .asked = plan.asked,
      .result = {{"adascale", kVersion},
                 {"torch", fmt::format("{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR)},
                 {"program", digest_over(sims, add_program)},
                 {"grids", digest_over(sims, add_grids)},
                 {"data", plan.data},
                 {"blocks", names_of_blocks(plan)},
                 {"recipe", plan.recipe.name},
                 {"iterations", fmt::format("{}", plan.iterations)},
                 {"epochs", fmt::format("{}", options.num_epochs.value_or(options.num_iterations ? 0 : 1))},
                 {"scheme", to_string(sims.front()->options().quant_scheme)},
                 {"accumulate", fmt::format("{}", options.accumulate)},
                 {"held_out_batches", fmt::format("{}", options.held_out_batches)},
                 {"keep_better", fmt::format("{}", options.keep_better)},
                 {"precision", c10::toString(plan.compute_type)},
                 {"lr_scale", fmt::format("{}", options.lr_scale)},
                 {"seed", fmt::format("{}", options.seed)}},
      .bits = {{"processes", fmt::format("{}", plan.team->size())},
               {"threads", fmt::format("{}", at::get_num_threads())},
               {"instructions", kernel_target()},
               {"torch_patch", fmt::format("{}", TORCH_VERSION_PATCH)},
               {"device", name_of(sims.front()->program().device, *plan.team)},
               {"deterministic", fmt::format("{}", options.deterministic)}},
      .data_is_rounded = plan.data_is_rounded};
  fingerprint.result.merge(numbers);
  return fingerprint;
}

}  // namespace adascale
