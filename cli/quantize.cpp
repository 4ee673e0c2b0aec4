#include <ATen/Parallel.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "adascale/core/error.h"
#include "adascale/formats/format.h"
#include "adascale/io/scratch_file.h"
#include "adascale/tune/preflight.h"
#include "cli/calibration.h"
#include "cli/commands.h"
#include "cli/output_files.h"
#include "cli/setup.h"
#include "cli/setup_text.h"
#include "cli/text.h"

namespace adascale {
namespace {

struct RunFlags {
  QuantizeFlags quantize;
  std::string model, data, output_dir;
  std::vector<std::string> formats;
  std::optional<int64_t> batch_size, threads;
  bool dry_run = false;
};

void set_threads(std::optional<int64_t> threads) {
  if (!threads) return;
  // Far more than any machine has cores, and OpenMP dies of.
  ADA_CHECK(*threads >= 1 && *threads <= 1024, "--threads: got {}, expected 1 to 1024", *threads);
  at::set_num_threads(static_cast<int>(*threads));
}

void check_has_blocks(const Setup& setup, const std::string& model) {
  ADA_CHECK(!setup.blocks.empty(),
            "{}: no block found: none of its {} module calls has two layers; adascale inspect shows them",
            model, setup.sim.program().calls.size());
}

std::string describe_activations(const Preflight& plan, const AdaScaleOptions& options) {
  const int64_t limit = options.activation_memory << 20;
  const std::string about = fmt::format("about {} of activations", format_bytes(plan.activation_bytes));
  if (plan.activation_bytes <= limit) return about;
  return fmt::format("{}: {} in memory, the rest in a temporary file in {}", about, format_bytes(limit),
                     scratch_room().folder);
}

void print_plan(const RunFlags& flags, const Setup& setup, const Preflight& plan, const Batches& batches,
                const OutputFiles& files) {
  fmt::print("model     {}: {}\n", flags.model, summarize(setup));
  fmt::print("data      {}: {} samples, {} batches of {}\n", flags.data, batches.samples,
             batches.inputs.size(), batches.batch_size);
  fmt::print("training  recipe {}, {} iterations per block, seed {}, {} threads{}\n", plan.recipe.name,
             plan.iterations, flags.quantize.training.seed, at::get_num_threads(),
             plan.compute_type == c10::ScalarType::BFloat16 ? ", bf16 matmuls up to 4 bits" : "");
  fmt::print("memory    {}\n", describe_activations(plan, flags.quantize.training));
  fmt::print("size      {}\n", describe_size(setup.sim));
  fmt::print("files     {}\n", fmt::join(files.paths(), ", "));
  fmt::print("\nleft in full precision\n{}\n", describe_left_out(setup));
  std::fflush(stdout);
}

void find_activation_ranges(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                            const ProgressSink& progress) {
  sim.compute_encodings([&](QuantizationSimModel& model) {
    int64_t done = 0;
    for (const Inputs& batch : batches) {
      model.call(batch);
      progress({"activation ranges", ++done, static_cast<int64_t>(batches.size()), std::nullopt});
    }
  });
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;  // Linux counts kilobytes
}

void quantize(RunFlags& flags, const Doors& doors) {
  const auto start = std::chrono::steady_clock::now();
  QuantizeFlags& options = flags.quantize;
  check_flags(options);
  set_threads(flags.threads);
  const Door& door = door_for(doors, flags.model);
  OpenedModel model = door.open(flags.model);
  const OutputFiles files{flags.output_dir, model.stem, flags.formats.empty() ? door.formats : flags.formats};
  check_output(files, {flags.model, flags.data});

  const Batches batches = read_batches(model.program, flags.data, flags.batch_size);
  Setup setup = set_up(std::move(model.program), options);
  check_has_blocks(setup, flags.model);
  const Preflight plan = check_adascale(setup.sim, batches.inputs, options.training);
  check_formats(files, setup.sim);
  print_plan(flags, setup, plan, batches, files);
  if (flags.dry_run) return;

  options.training.progress = stderr_progress();
  const AdaScaleReport report = apply_adascale(setup.sim, batches.inputs, options.training);
  if (!setup.sim.activations().empty())
    find_activation_ranges(setup.sim, batches.inputs, options.training.progress);
  const auto paths = export_model(setup.sim, files.folder, files.stem, files.formats);

  fmt::print("{}\n", to_string(report));
  fmt::print("size      {}\n", describe_size(setup.sim));
  for (const std::string& path : paths) fmt::print("wrote     {}\n", path);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  fmt::print("took      {:.1f} s, peak memory {}\n", seconds.count(), format_bytes(peak_memory_bytes()));
}

void add_run_flags(CLI::App& command, RunFlags& flags) {
  command
      .add_option(
          "--data", flags.data,
          "calibration samples: .safetensors, tensors named like the model's inputs, samples along dim 0")
      ->type_name("FILE")
      ->required();
  command
      .add_option(
          "--batch-size", flags.batch_size,
          fmt::format("samples per training iteration; without it {}, or what the model was exported for",
                      kDefaultBatchSize))
      ->type_name("N");
  command.add_option("--threads", flags.threads, "without it: torch's own choice")->type_name("N");
  command
      .add_option("--format", flags.formats,
                  "adascale list formats; without it those that fit the kind of model")
      ->type_name("NAME");
  command.add_option("--output-dir", flags.output_dir, "made if missing; files appear in it all or none")
      ->type_name("DIR")
      ->required();
  command.add_flag("--dry-run", flags.dry_run, "check everything, say what would happen, write nothing");
}

}  // namespace

Command quantize_command(CLI::App& app, const Doors& doors) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command =
      app.add_subcommand("quantize", "train a model's weights onto a grid of few bits and export it");
  command->add_option("MODEL", flags->model, describe(doors))->required();
  add_grid_flags(*command, flags->quantize);
  add_training_flags(*command, flags->quantize);
  add_run_flags(*command, *flags);
  command->footer(
      "Quantizes the layers inside the blocks found (adascale inspect) and leaves the others in full "
      "precision, unless "
      "--outside-bw\nor --layer-config give them bits. Scales are per channel unless --group-size says "
      "otherwise. Without --epochs "
      "and\n--iterations the recipe's own budget counts.");
  return {command, [flags, &doors] { quantize(*flags, doors); }};
}

}  // namespace adascale
