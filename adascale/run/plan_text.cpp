#include "adascale/run/plan_text.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "adascale/core/spelling.h"
#include "adascale/formats/folder_files.h"
#include "adascale/io/scratch_file.h"
#include "adascale/run/bit_text.h"
#include "adascale/run/inspection.h"
#include "adascale/run/left_out.h"
#include "adascale/run/text.h"
#include "adascale/run/weight_size.h"
#include "adascale/tune/checkpoint.h"
#include "adascale/tune/precision.h"

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

std::string describe_memory(const TrainingPlan& plan, bool on_cpu) {
  const MemoryPlan& memory = plan.memory;
  const int64_t limit = memory.on_device + (plan.options.activation_memory << 20);
  std::string about = fmt::format("about {} of activations", format_bytes(memory.activations));
  if (!on_cpu) {
    about += fmt::format(" beside a block of about {} on the device; up to {} stay there",
                         format_bytes(memory.largest_block), format_bytes(memory.on_device));
    if (!memory.free_is_known && !plan.options.device_activation_memory)
      about += fmt::format(", since it does not say what is free ({})", option("device_activation_memory"));
  }
  if (memory.activations <= limit) return about;
  return fmt::format("{}: {} in memory, the rest in a temporary file in {}", about, format_bytes(limit),
                     scratch_room().folder);
}

/// Each change of a grid by the formats -> the layers with it.
std::map<std::string, std::vector<std::string>> grid_notes(const RunPlan& plan) {
  std::map<std::string, std::vector<std::string>> layers;
  for (const QuantizationSimModel* sim : plan.sims())
    for (const QuantizedWeight& weight : sim->weights())
      if (!weight.note.empty()) layers[weight.note].push_back(weight.layer.name);
  return layers;
}

std::string shortened(const std::vector<std::string>& layers) {
  constexpr size_t kShown = 2;
  if (layers.size() <= kShown + 1) return fmt::format("{}", fmt::join(layers, ", "));
  return fmt::format("{}, ... {} layers", fmt::join(layers.begin(), layers.begin() + kShown, ", "),
                     layers.size());
}

std::string counted(int64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string describe_batches(const Batches& batches) {
  const std::string counts = fmt::format("{}, {}", counted(batches.samples, "sample", "samples"),
                                         counted(batches.count, "batch", "batches"));
  const int64_t size = std::min(batches.batch_size, batches.samples);
  return size == 0 ? counts : fmt::format("{} of {}", counts, size);
}

std::string list(const std::vector<LeftOut>& layers) {
  std::string text;
  for (const LeftOut& layer : layers) {
    const std::string kind = layer.kind.empty() ? "" : fmt::format(" ({})", layer.kind);
    text += fmt::format("  {}{}: {}\n", layer.name, kind, layer.reason);
  }
  return text.empty() ? kNothing : text;
}

/// Reads them.
int64_t finished_blocks(const TrainingPlan& plan) {
  return keeps_blocks(plan.options) ? count_whole(plan.options.checkpoint_dir) : 0;
}

/// Where finished blocks wait, a byte a weight, and how many do already.
std::string describe_checkpoint(const TrainingPlan& plan, int64_t finished) {
  const AdaScaleOptions& options = plan.options;
  if (!keeps_blocks(options)) return "nothing is kept for a run that is interrupted";
  const std::string kept = fmt::format("finished blocks are kept in {}, about {}", options.checkpoint_dir,
                                       format_bytes(static_cast<int64_t>(plan.work.trained)));
  return finished == 0 ? kept : fmt::format("{}; goes on behind {} of them", kept, finished);
}

/// Where the time of all blocks is not that of the run.
std::string describe_uncounted(const TrainingPlan& plan, int64_t finished) {
  std::string text;
  if (finished > 0) text += ", the finished ones too";
  if (plan.has_last_stage()) text += ", without the last stage";
  return text;
}

/// An estimate from a measurement of now.
std::string describe_time(const TrainingPlan& plan, int64_t finished, c10::Device device) {
  const Work& work = plan.work;
  const Speed speed = measure_speed(work.sample, plan, device);
  std::vector<std::string> terms = {
      fmt::format("{:.3g} FLOP of products at {:.3g} GFLOP/s", work.flops, 1e-9 / speed.seconds_a_flop)};
  if (work.searched > 0)
    terms.push_back(
        fmt::format("{:.3g} weights searched at {:.3g} ns", work.searched, 1e9 * speed.seconds_a_search));
  if (work.visits > 0)
    terms.push_back(
        fmt::format("{:.3g} visits of a weight at {:.3g} ns", work.visits, 1e9 * speed.seconds_a_visit));
  return fmt::format("about {} in all blocks{}, an estimate: {}, measured just now",
                     format_seconds(seconds_for(work, speed)), describe_uncounted(plan, finished),
                     fmt::join(terms, ", "));
}

/// " of 4 batches, shared among 2 processes"
std::string describe_step(const TrainingPlan& training) {
  if (training.options.accumulate == 1) return "";
  const std::string batches = fmt::format(" of {} batches", training.options.accumulate);
  const int64_t processes = training.team->size();
  return processes == 1 ? batches : fmt::format("{}, shared among {} processes", batches, processes);
}

/// After the blocks; empty for a recipe without one.
std::string describe_last_stage(const TrainingPlan& plan) {
  if (!plan.no_last_stage.empty()) return fmt::format("note      no last stage: {}\n", plan.no_last_stage);
  if (!plan.has_last_stage()) return "";
  return fmt::format(
      "          then {} iterations of the scales on the model's output; {} batches held out\n",
      plan.last_stage_iterations, plan.options.held_out_batches);
}

}  // namespace

std::string describe(const RunPlan& plan) {
  const c10::Device device = plan.sims().front()->program().device;
  std::string text = fmt::format("model     {}: {}\n", plan.request.model, summarize(plan.parts));
  if (plan.bits) text += "bits      " + describe_bits(*plan.bits);
  text += fmt::format("data      {}: {}\n",
                      plan.request.data.files.empty() ? "in memory" : plan.request.data.where(),
                      describe_batches(plan.batches));
  text += fmt::format("training  recipe {}, {} iterations per block{}{}, seed {}, {}\n",
                      plan.training.recipe.name, plan.training.iterations, describe_step(plan.training),
                      plan.training.options.train_outside ? ", each layer outside as one" : "",
                      plan.training.options.seed, counted(at::get_num_threads(), "thread", "threads"));
  text += describe_last_stage(plan.training);
  text += fmt::format("device    {}, {}\n", device.str(),
                      describe_precision(plan.training.compute_type, plan.sims()));
  text += fmt::format("memory    {}\n", describe_memory(plan.training, device.is_cpu()));
  const int64_t finished = finished_blocks(plan.training);
  text += fmt::format("resume    {}\n", describe_checkpoint(plan.training, finished));
  text += fmt::format("size      {}\n", describe_size(plan.to_write(), plan.files.formats));
  if (plan.request.dry_run && plan.training.work.trained > 0)
    text += fmt::format("time      {}\n", describe_time(plan.training, finished, device));
  text += fmt::format("files     {}\n", fmt::join(plan.files.paths(), ", "));
  for (const auto& [note, layers] : grid_notes(plan))
    text += fmt::format("note      {} ({})\n", note, shortened(layers));
  for (const std::string& note : plan.notes) text += fmt::format("note      {}\n", note);
  // Not one of the plan's notes, which report.json keeps.
  if (std::filesystem::exists(std::filesystem::path(plan.request.output_dir) / kReportFile))
    text += fmt::format("note      replaces the result of an earlier run in {}\n", plan.request.output_dir);
  return text + fmt::format("\nleft in full precision\n{}\n", describe_left_out(plan));
}

std::string describe_inputs(const Program& program) {
  std::string text;
  for (const ProgramInput* input : program.user_inputs()) text += describe_input(program, *input);
  return text;
}

std::string describe_layers(const ModelPlan& plan, bool train_outside) {
  if (plan.sim.weights().empty()) return kNothing;
  std::vector<Row> rows = {{"layer", "kind", "shape", "grid", "trained in"}};
  for (const InspectedLayer& layer : inspected_layers(plan, train_outside))
    rows.push_back({layer.name, layer.kind, fmt::format("{}", fmt::join(layer.sizes, "x")), layer.grid,
                    layer.not_trained.empty() ? layer.block : "no: " + layer.not_trained});
  return format_table(rows);
}

std::string describe_left_out(const ModelPlan& plan) {
  return list(left_out(plan));
}

std::string describe_left_out(const RunPlan& plan) {
  return list(left_out(plan));
}

size_t count_left_out(const RunPlan& plan) {
  return left_out(plan).size();
}

std::string describe_batch_norms(const ModelPlan& plan) {
  std::string text;
  for (const FoldedBatchNorm& norm : plan.sim.program().folded_batch_norms)
    text += fmt::format("  {}: folded into {}\n", norm.name, norm.into);
  for (const KeptBatchNorm& norm : plan.sim.unquantized().batch_norms)
    text += fmt::format("  {}: stays: {}\n", norm.name, norm.reason);
  return text.empty() ? kNothing : text;
}

std::string summarize(const std::vector<ModelPlan>& parts) {
  std::map<std::string, int> grids;
  size_t blocks = 0, layers = 0, activations = 0;
  for (const ModelPlan& part : parts) {
    for (const QuantizedWeight& weight : part.sim.weights()) ++grids[to_string(weight.grid)];
    blocks += part.blocks.size();
    layers += part.sim.weights().size();
    activations += part.sim.activations().size();
  }
  std::vector<std::string> counts;
  for (const auto& [grid, count] : grids) counts.push_back(fmt::format("{} {}", count, grid));
  return fmt::format("{} blocks, {} layers to quantize ({}); {}", blocks, layers, fmt::join(counts, ", "),
                     activations == 0 ? "activations in full precision"
                                      : fmt::format("{} activations on grids", activations));
}

std::string describe_size(const ModelToWrite& model, const std::vector<ChosenFormat>& formats) {
  const ModelSize size = size_of(model);
  std::vector<std::string> packed, unpacked, none;
  for (const ChosenFormat& chosen : formats) {
    if (chosen.format->weights_as == WeightsAs::kCodes) packed.push_back(chosen.format->name);
    if (chosen.format->weights_as == WeightsAs::kValues) unpacked.push_back(chosen.format->name);
    if (chosen.format->weights_as == WeightsAs::kNothing) none.push_back(chosen.format->name);
  }
  const auto in = [](const std::vector<std::string>& names) {
    return names.empty() ? "" : fmt::format(" in {}", fmt::join(names, ", "));
  };
  const std::string mean = size.weights == 0 ? "" : fmt::format(", {:.2f} bits a weight", size.mean_bits());
  const std::string codes = fmt::format(
      "{} as packed codes and scales{}, the quantized layers {} -> {}{}", format_bytes(size.after()),
      in(packed), format_bytes(size.layers_before), format_bytes(size.layers_after), mean);
  const std::string values =
      fmt::format("{} as before{}, numbers in the model's dtype", format_bytes(size.before()), in(unpacked));
  if (packed.empty() && !unpacked.empty()) return fmt::format("{}; {}", values, codes);
  if (packed.empty() && !none.empty())
    return fmt::format("no weights in {}; {} before, {}", fmt::join(none, ", "), format_bytes(size.before()),
                       codes);
  const std::string change = fmt::format("{} -> {}", format_bytes(size.before()), codes);
  return unpacked.empty() ? change : fmt::format("{}; {}", change, values);
}

}  // namespace adascale
