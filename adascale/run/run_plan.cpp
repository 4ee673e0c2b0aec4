#include "adascale/run/run_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/core/passes.h"
#include "adascale/core/spelling.h"
#include "adascale/graph/fold_batch_norms.h"
#include "adascale/run/bit_target.h"
#include "adascale/run/disk_room.h"
#include "adascale/run/model_card.h"
#include "adascale/run/output_folder.h"
#include "adascale/tune/checkpoint.h"
#include "adascale/tune/recipe.h"

namespace adascale {
namespace {

constexpr char kEncodings[] = "encodings";

bool has_activations(const SimOptions& options) {
  const auto& settings = options.layer_config;
  return options.default_output_bw != kOffBits ||
         std::any_of(settings.begin(), settings.end(),
                     [](const auto& entry) { return entry.second.output_bw.value_or(kOffBits) != kOffBits; });
}

bool is_encodings(const ChosenFormat& chosen) {
  return chosen.format->name == kEncodings;
}

/// The formats asked for, else the door's. These hold the model, but activation encodings only if one of
/// them does; otherwise "encodings" is added.
std::vector<ChosenFormat> formats_of(const QuantizeRequest& request, const Door& door) {
  std::vector<std::string> names = request.formats.empty() ? door.formats : request.formats;
  const bool may_need_encodings = request.formats.empty() && has_activations(request.sim) &&
                                  std::count(names.begin(), names.end(), kEncodings) == 0;
  if (may_need_encodings) names.emplace_back(kEncodings);
  Objections objections;
  std::vector<ChosenFormat> chosen = choose_formats(names, objections);
  objections.raise();
  const auto holds = [](const ChosenFormat& one) { return one.format->holds_activations; };
  if (may_need_encodings && std::any_of(chosen.begin(), chosen.end() - 1, holds)) chosen.pop_back();
  ADA_CHECK(request.encoding_version == ExportOptions().encoding_version ||
                std::any_of(chosen.begin(), chosen.end(), is_encodings),
            "{}: is for the format encodings, which is not written; add {}",
            option("encoding_version", request.encoding_version), option("formats", kEncodings));
  return chosen;
}

/// Beside the output. What only rounds to nearest is done again sooner than it is read.
std::string checkpoint_of(const QuantizeRequest& request) {
  const Recipe& recipe = recipe_named(request.training.recipe);
  if (!recipe.trains() && recipe.start == StartRange::kScheme) return "none";
  std::filesystem::path folder = std::filesystem::path(request.output_dir).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  return folder.string() + ".checkpoint";
}

/// The request with what follows from it: the recipe's own budget, the device of the model.
QuantizeRequest settled(QuantizeRequest request, const OpenedModel& model) {
  const Recipe& recipe = recipe_named(request.training.recipe);
  if (recipe.trains() && !request.training.num_epochs && !request.training.num_iterations)
    request.training.num_iterations = recipe.iterations;
  request.sim.device = device_for(model, request.sim.device).str();
  if (request.training.checkpoint_dir.empty()) request.training.checkpoint_dir = checkpoint_of(request);
  return request;
}

/// Whether scales may be negative, for a request that leaves it open: not where one of the files has none, nor in the
/// recipe that follows AIMET.
void settle_scale_sign(const std::vector<ChosenFormat>& formats, QuantizeRequest& request) {
  std::vector<std::string> positive;
  for (const ChosenFormat& chosen : formats)
    if (!chosen.format->holds_signed_scales) positive.push_back(chosen.format->name);
  const Recipe& recipe = recipe_named(request.training.recipe);
  std::string& sign = request.sim.scale_sign;
  ADA_CHECK(sign != kAnySign || recipe.takes_signed_scales,
            "{}: the scales of the recipe {} are positive; leave it out, or choose another recipe",
            option("scale_sign", kAnySign), recipe.name);
  ADA_CHECK(sign != kAnySign || positive.empty(),
            "{}: {} have positive scales alone; leave it out, or name other formats ({})",
            option("scale_sign", kAnySign), fmt::join(positive, ", "), option("formats"));
  if (sign == kAutoSign) sign = positive.empty() && recipe.takes_signed_scales ? kAnySign : kPositive;
}

/// Before a large model opens. The training itself looks again.
void check_no_unfinished(const QuantizeRequest& request) {
  AdaScaleOptions training = request.training;
  const bool folder_is_given = !training.checkpoint_dir.empty();
  if (!folder_is_given) training.checkpoint_dir = checkpoint_of(request);
  ADA_CHECK(!training.resume || keeps_blocks(training), "{}: nothing is kept with {}; leave it out",
            option("resume"),
            folder_is_given ? option("checkpoint_dir", "none") : option("recipe", training.recipe));
  if (!keeps_blocks(training) || !present_team()->leads()) return;
  const bool is_new = !std::filesystem::exists(training.checkpoint_dir);
  check_checkpoint_folder(training.checkpoint_dir);
  if (!is_new) count_finished(training.checkpoint_dir, training.resume);
}

void check_has_blocks(const ModelPlan& plan, const std::string& model) {
  ADA_CHECK(!plan.blocks.empty(),
            "{}: no block found: none of its {} module calls has two layers; adascale inspect shows them",
            model, plan.sim.program().calls.size());
}

DataRequest data_of(const QuantizeRequest& request) {
  DataRequest data = request.data;
  data.seed = request.training.seed;
  data.device = request.sim.device;
  data.blocks = request.training.blocks;
  return data;
}

/// Of a model in parts: leaves out the door's formats that need a program of the whole, and notes it.
std::vector<ChosenFormat> formats_for_parts(std::vector<ChosenFormat> formats, RunPlan& plan) {
  if (!plan.request.formats.empty()) return formats;  // asked for: refused
  std::vector<std::string> left_out;
  for (const ChosenFormat& chosen : formats)
    if (!chosen.format->takes_parts) left_out.push_back(chosen.format->name);
  if (left_out.empty()) return formats;
  std::erase_if(formats, [](const ChosenFormat& chosen) { return !chosen.format->takes_parts; });
  plan.notes.push_back(
      fmt::format("not written: {}, for which a program of the whole is needed", fmt::join(left_out, ", ")));
  return formats;
}

void plan_whole(OpenedModel opened, const DataRequest& data, const std::vector<ChosenFormat>& formats,
                RunPlan& plan) {
  plan.batches = cut_batches(opened, data);
  plan.request = settled(std::move(plan.request), opened);
  const FitGrid fit_grid = fit_grids(formats);
  if (has_bit_target(plan.request)) {
    // Before ids are taken, as in plan_model.
    if (plan.request.sim.fold_batch_norms) fold_batch_norms(opened.program, /*in_place=*/!opened.is_shared);
    plan.bits = choose_bits(opened.program, plan.request, fit_grid, widths_for_target(plan.request, formats),
                            plan.batches.inputs);
  }
  plan.parts.push_back(plan_model(std::move(opened.program), plan.request, opened.is_shared, fit_grid,
                                  plan.bits ? plan.bits->settings() : LayerConfig()));
  const ModelPlan& model = plan.parts.front();
  check_has_blocks(model, plan.request.model);
  plan.training = plan_training(model.sim, model.blocks, plan.batches.inputs, plan.request.training);
}

void plan_in_parts(OpenedModel opened, const std::vector<ChosenFormat>& formats, RunPlan& plan) {
  OpenedParts& parts = *opened.parts;
  Objections objections;
  check_options_of_parts(plan.request, parts, objections);
  check_take_parts(formats, objections);
  objections.raise();
  plan.request = settled(std::move(plan.request), opened);
  plan.batches = {{}, parts.batches, parts.samples, parts.batch_size};
  plan.notes.push_back(
      fmt::format("quantized block by block, all else runs live in full precision: {}", parts.refusal));
  plan.parts = plan_parts(parts.parts, plan.request, fit_grids(formats));
  plan.live = std::make_unique<LiveRun>(std::move(parts), plan.parts);
  std::vector<std::string> patterns;
  for (const auto& [pattern, settings] : plan.request.sim.layer_config) patterns.push_back(pattern);
  check_patterns(plan.live->model, patterns);
  check_before_data(plan.live->model, plan.request.training);
  plan.live->look();
  plan.training = plan_training(plan.live->model, plan.live->inputs->sizes(), plan.request.training);
  plan.training.data = plan.live->inputs->digest();
  plan.training.data_is_rounded = true;
}

/// What the run was asked for, by which a checkpoint tells how another run differs.
std::map<std::string, std::string> texts_of(const QuantizeRequest& request) {
  std::map<std::string, std::string> texts = {
      {"model", request.model},
      {"data", request.data.where()},
      {"formats",
       request.formats.empty() ? kItsDefault : fmt::format("{}", fmt::join(request.formats, ", "))}};
  visit_request_options(OptionTexts(texts), request);
  return texts;
}

/// The files of the planned model, and what else of the user's they would touch.
void plan_files(const std::string& stem, const ModelSource& source, const std::vector<ChosenFormat>& formats,
                RunPlan& plan) {
  plan.files.formats = formats;
  std::vector<std::string> texts = {kReportFile, kReportPage};
  if (has_model_card(formats)) texts.emplace_back(kCardFile);
  const ExportOptions options{.encoding_version = plan.request.encoding_version,
                              .source = source,
                              .plan = hash_of(plan),
                              .texts = texts};
  Objections objections;
  plan.files = plan_export(plan.to_write(), formats, plan.request.output_dir, stem, options, objections);
  std::vector<std::string> sources = plan.request.data.files;
  sources.push_back(plan.request.model);
  sources.push_back(source.path);  // e.g. the .gguf in the folder
  check_no_overwritten(plan.files.paths(), sources, objections);
  if (present_team()->leads()) {  // who writes
    check_no_leftovers(plan.files, objections);
    check_places(plan.files, objections);
    check_card(plan.files, objections);
    check_disk_room(disk_needs_of(plan), disk_room_at, objections);
  }
  objections.raise();
  for (const std::string& note : plan.files.notes()) plan.notes.push_back(note);
}

}  // namespace

std::vector<const QuantizationSimModel*> RunPlan::sims() const {
  std::vector<const QuantizationSimModel*> sims;
  for (const ModelPlan& part : parts) sims.push_back(&part.sim);
  return sims;
}

ModelToWrite RunPlan::to_write() const {
  if (live) return {live->model, live->running.state};
  return parts.front().sim;
}

const Door& door_of(const QuantizeRequest& request, const Doors& doors) {
  Objections objections;
  const Door* door = nullptr;
  check_options(request, objections);
  objections.gather([&] { door = &door_for(doors, request.model); });
  check_data_files(request.data, objections);
  objections.raise();
  return *door;
}

RunPlan plan_run(const QuantizeRequest& request, const Doors& doors) {
  const auto started = std::chrono::steady_clock::now();
  QuantizeRequest asked = request;
  if (!present_team()->leads()) asked.training.progress = {};
  const WatchPasses watch(as_stages(asked.training.progress, /*passing=*/true));
  const Door& door = door_of(asked, doors);
  std::vector<ChosenFormat> formats = formats_of(asked, door);
  if (has_bit_target(asked)) widths_for_target(asked, formats);
  if (!asked.formats.empty()) settle_scale_sign(formats, asked);  // else a model in parts may leave some out
  ADA_CHECK(!asked.output_dir.empty(), "{}: got nothing, expected a folder", option("output_dir"));
  if (present_team()->leads()) check_writable(asked.output_dir);
  check_no_unfinished(asked);
  const DataRequest data = data_of(asked);
  OpenedModel opened = door.open(asked.model, data);
  RunPlan plan{.started = started, .request = asked, .notes = std::move(opened.notes)};
  const std::string stem = opened.stem;
  const ModelSource source = opened.source;
  if (opened.parts) {
    formats = formats_for_parts(std::move(formats), plan);
    settle_scale_sign(formats, plan.request);
    plan_in_parts(std::move(opened), formats, plan);
  } else {
    settle_scale_sign(formats, plan.request);
    plan_whole(std::move(opened), data, formats, plan);
  }
  plan.training.asked = texts_of(request);
  if (plan.request.training.resume && present_team()->leads()) check_resumes(plan.training, plan.sims());
  plan_files(stem, source, formats, plan);
  return plan;
}

}  // namespace adascale
