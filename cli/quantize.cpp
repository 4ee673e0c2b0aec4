#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>

#include "adascale/core/error.h"
#include "adascale/run/plan_text.h"
#include "adascale/run/quantize.h"
#include "adascale/tune/checkpoint.h"
#include "cli/commands.h"
#include "cli/data_flags.h"
#include "cli/fail_if.h"
#include "cli/flags.h"
#include "cli/interruption.h"
#include "cli/quantize_flags.h"

namespace adascale {
namespace {

struct RunFlags {
  explicit RunFlags(CLI::App& app) : fail_if(app, FailIf::Source::kQuantize) {}

  FailIf fail_if;
  QuantizeFlags quantize;
  std::optional<int64_t> threads;
};

void set_threads(std::optional<int64_t> threads) {
  if (!threads) return;
  // The limit is far above any machine's cores; OpenMP crashes on much larger numbers.
  ADA_CHECK(*threads >= 1 && *threads <= 1024, "--threads: got {}, expected 1 to 1024", *threads);
  at::set_num_threads(static_cast<int>(*threads));
}

void say(const std::string& text) {
  fmt::print("{}", text);
  std::fflush(stdout);
}

std::string how_to_go_on(const RunPlan& plan) {
  const AdaScaleOptions& training = plan.training.options;
  if (!keeps_blocks(training)) return "nothing was kept";
  return fmt::format("finished blocks, if any, are in {}: the same command with --resume goes on",
                     training.checkpoint_dir);
}

std::map<std::string, double> measures_of(const RunPlan& plan, const AdaScaleReport& report) {
  double sqnr = std::numeric_limits<double>::infinity(), bytes = 0;
  for (const BlockReport& block : report.blocks)
    for (const LayerReport& layer : block.layers) sqnr = std::min(sqnr, layer.sqnr_db);
  for (const std::string& path : plan.files.paths())
    bytes += static_cast<double>(std::filesystem::file_size(path));
  const auto worse = std::count_if(report.blocks.begin(), report.blocks.end(), [](const BlockReport& block) {
    return !block.kept || block.loss_after > block.loss_before;
  });
  return {{"sqnr_min", sqnr},
          {"worse_blocks", static_cast<double>(worse)},
          {"left_out", static_cast<double>(count_left_out(plan))},
          {"size_mb", bytes / 1e6}};
}

void run_quantize(const RunFlags& flags, const Doors& doors) {
  flags.fail_if.check_bounds();
  ADA_CHECK(!flags.quantize.read().dry_run || !flags.fail_if.is_given(),
            "--fail-if: a dry run has no results; leave out one of --fail-if and --dry-run");
  set_threads(flags.threads);
  QuantizeRequest request = flags.quantize.read();
  request.training.progress = stderr_progress();
  RunPlan plan = plan_run(request, doors);
  say_plan(plan, say);
  if (request.dry_run) return;
  Interruption::say(how_to_go_on(plan));
  const AdaScaleReport report = run(plan, say);
  Interruption::say("all files are in place");
  if (plan.training.team->leads()) flags.fail_if.check(measures_of(plan, report));
}

void add_run_flags(CLI::App& command, RunFlags& flags, const Doors& doors) {
  add_data_flags(command, flags.quantize.request.data, doors)->required();
  command
      .add_option("--threads", flags.threads,
                  "without it: torch's own choice, or the CPUs that a container allows")
      ->type_name("N");
  command
      .add_option("--format", flags.quantize.request.formats,
                  "adascale list formats, some as NAME:GRID (docs/formats.md); "
                  "without it those that fit the kind of model")
      ->type_name("NAME");
  visit_target_options(FlagAdder(command), flags.quantize.request);
  visit_export_options(FlagAdder(command), flags.quantize.request);
  command
      .add_option("--output-dir", flags.quantize.request.output_dir,
                  "made if missing; files appear in it all or none")
      ->type_name("DIR")
      ->required();
  command.add_flag("--dry-run", flags.quantize.request.dry_run,
                   "check all but the weights' numbers, say what would happen and how long, write nothing");
}

}  // namespace

Command quantize_command(CLI::App& app, const Doors& doors) {
  CLI::App* command =
      app.add_subcommand("quantize", "train a model's weights onto a grid of few bits and export it");
  auto flags = std::make_shared<RunFlags>(*command);
  command->add_option("MODEL", flags->quantize.request.model, describe(doors))->required();
  add_grid_flags(*command, flags->quantize);
  add_training_flags(*command, flags->quantize);
  add_run_flags(*command, *flags, doors);
  command->footer(
      "Quantizes the layers inside the blocks found (adascale inspect) "
      "and leaves the others in full precision, unless --outside-bw,\n"
      "--layer-config or a target beside --train-outside give them bits. Scales are per channel unless "
      "--group-size says otherwise. "
      "Without --epochs and\n"
      "--iterations the recipe's own budget counts.");
  return {command, [flags, &doors] { run_quantize(*flags, doors); }};
}

}  // namespace adascale
