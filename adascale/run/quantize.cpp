#include "adascale/run/quantize.h"

#include <ATen/Parallel.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "adascale/core/error.h"
#include "adascale/device/devices.h"
#include "adascale/device/flags.h"
#include "adascale/io/scratch_file.h"
#include "adascale/run/batches.h"
#include "adascale/run/output_files.h"
#include "adascale/run/setup_text.h"
#include "adascale/run/text.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/training_plan.h"

namespace adascale {
namespace {

void check_has_blocks(const Setup& setup, const std::string& model) {
  ADA_CHECK(!setup.blocks.empty(),
            "{}: no block found: none of its {} module calls has two layers; adascale inspect shows them",
            model, setup.sim.program().calls.size());
}

std::string describe_memory(const MemoryPlan& memory, bool on_cpu, const AdaScaleOptions& options) {
  const int64_t limit = memory.on_device + (options.activation_memory << 20);
  std::string about = fmt::format("about {} of activations", format_bytes(memory.activations));
  if (!on_cpu) {
    about += fmt::format(" beside a block of about {} on the device; up to {} stay there",
                         format_bytes(memory.largest_block), format_bytes(memory.on_device));
    if (!memory.free_is_known && !options.device_activation_memory)
      about += ", since it does not say what is free (--device-activation-memory)";
  }
  if (memory.activations <= limit) return about;
  return fmt::format("{}: {} in memory, the rest in a temporary file in {}", about, format_bytes(limit),
                     scratch_room().folder);
}

/// Each change of a grid by the formats -> the layers with it.
std::map<std::string, std::vector<std::string>> grid_notes(const QuantizationSimModel& sim) {
  std::map<std::string, std::vector<std::string>> layers;
  for (const QuantizedWeight& weight : sim.weights())
    if (!weight.note.empty()) layers[weight.note].push_back(weight.layer.name);
  return layers;
}

std::string shortened(const std::vector<std::string>& layers) {
  constexpr size_t kShown = 2;
  if (layers.size() <= kShown + 1) return fmt::format("{}", fmt::join(layers, ", "));
  return fmt::format("{}, ... {} layers", fmt::join(layers.begin(), layers.begin() + kShown, ", "),
                     layers.size());
}

std::string describe_plan(const QuantizeRun& run, const Setup& setup, const TrainingPlan& plan,
                          const Batches& batches, const OutputFiles& files,
                          const std::vector<std::string>& notes) {
  const AdaScaleOptions& training = run.quantize.training;
  std::string text = fmt::format("model     {}: {}\n", run.model, summarize(setup));
  text += fmt::format("data      {}: {} samples, {} batches of {}\n", run.data.where(), batches.samples,
                      batches.inputs.size(), batches.batch_size);
  text += fmt::format("training  recipe {}, {} iterations per block, seed {}, {} threads\n", plan.recipe.name,
                      plan.iterations, training.seed, at::get_num_threads());
  const c10::Device device = setup.sim.program().device;
  text += fmt::format("device    {}, {}\n", device.str(), describe_precision(plan.compute_type, setup.sim));
  text += fmt::format("memory    {}\n", describe_memory(plan.memory, device.is_cpu(), training));
  text += fmt::format("size      {}\n", describe_size(setup.sim));
  text += fmt::format("files     {}\n", fmt::join(files.paths(), ", "));
  for (const auto& [note, layers] : grid_notes(setup.sim))
    text += fmt::format("note      {} ({})\n", note, shortened(layers));
  for (const std::string& note : notes) text += fmt::format("note      {}\n", note);
  return text + fmt::format("\nleft in full precision\n{}\n", describe_left_out(setup));
}

void find_activation_ranges(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                            const AdaScaleOptions& options) {
  const FlagScope scope(sim.program().device, {.deterministic = options.deterministic});
  sim.compute_encodings([&](QuantizationSimModel& model) {
    int64_t done = 0;
    for (const Inputs& batch : batches) {
      model.call(batch);
      options.progress({"activation ranges", ++done, static_cast<int64_t>(batches.size()), std::nullopt});
    }
  });
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;  // Linux counts kibibytes
}

/// The door's formats hold the model, but activation encodings only if one of them
/// does; otherwise "encodings" is added.
std::vector<std::string> default_formats(const Door& door, const OpenedModel& model,
                                         const QuantizeFlags& flags) {
  const auto& settings = flags.sim.layer_config;
  const bool has_activations = flags.sim.default_output_bw != kOffBits ||
                               std::any_of(settings.begin(), settings.end(), [](const auto& entry) {
                                 return entry.second.output_bw.value_or(kOffBits) != kOffBits;
                               });
  const bool is_held = std::any_of(door.formats.begin(), door.formats.end(), [&](const std::string& name) {
    return export_format(name, model.formats).holds_activations;
  });
  std::vector<std::string> formats = door.formats;
  if (has_activations && !is_held) formats.push_back("encodings");
  return formats;
}

}  // namespace

std::optional<AdaScaleReport> quantize(QuantizeRun& run, const Door& door) {
  const auto start = std::chrono::steady_clock::now();
  QuantizeFlags& options = run.quantize;
  check_flags(options);
  if (options.sim.device != "auto") find_device(options.sim.device);  // before the model, which may be large
  check_data_options(run.data);
  run.data.seed = options.training.seed;
  OpenedModel model = door.open(run.model, run.data);
  const OutputFiles files{
      run.output_dir,
      model.stem,
      run.formats.empty() ? default_formats(door, model, options) : run.formats,
      {.encoding_version = options.encoding_version, .more_formats = model.formats, .source = model.source}};
  const bool writes_encodings = std::count(files.formats.begin(), files.formats.end(), "encodings") > 0;
  ADA_CHECK(
      writes_encodings || options.encoding_version == ExportOptions().encoding_version,
      "--encoding-version {}: is for the format encodings, which is not written; add --format encodings",
      options.encoding_version);
  std::vector<std::string> sources = run.data.files;
  sources.push_back(run.model);
  sources.push_back(model.source.path);  // e.g. the .gguf in the folder
  check_output(files, sources);

  const Batches batches = cut_batches(model, run.data);
  options.sim.in_place = !model.is_shared;
  options.sim.device = device_for(model, options.sim.device).str();
  options.sim.fit_grid = fit_grids(files.formats, model.formats);
  Setup setup = set_up(std::move(model.program), options);
  check_has_blocks(setup, run.model);
  const TrainingPlan plan = plan_training(setup.sim, setup.blocks, batches.inputs, options.training);
  check_formats(files, setup.sim);
  for (const std::string& note : format_notes(files, setup.sim)) model.notes.push_back(note);
  run.say(describe_plan(run, setup, plan, batches, files, model.notes));
  if (run.dry_run) return std::nullopt;

  AdaScaleReport report = train(setup.sim, plan, batches.inputs);
  if (!setup.sim.activations().empty()) find_activation_ranges(setup.sim, batches.inputs, options.training);
  const auto paths = export_model(setup.sim, files.folder, files.stem, files.formats, files.options);

  run.say(fmt::format("{}\nsize      {}\n", to_string(report), describe_size(setup.sim)));
  for (const std::string& path : paths) run.say(fmt::format("wrote     {}\n", path));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  run.say(fmt::format("took      {:.1f} s, peak memory {}\n", seconds.count(),
                      format_bytes(peak_memory_bytes())));
  return report;
}

}  // namespace adascale
