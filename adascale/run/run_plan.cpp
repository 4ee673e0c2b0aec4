#include "adascale/run/run_plan.h"

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/run/output_folder.h"
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

/// The request with what follows from it: the recipe's own budget, the device of the model.
QuantizeRequest settled(QuantizeRequest request, const OpenedModel& model) {
  const Recipe& recipe = recipe_named(request.training.recipe);
  if (recipe.trains() && !request.training.num_epochs && !request.training.num_iterations)
    request.training.num_iterations = recipe.iterations;
  request.sim.device = device_for(model, request.sim.device).str();
  return request;
}

void check_has_blocks(const ModelPlan& plan, const std::string& model) {
  ADA_CHECK(!plan.blocks.empty(),
            "{}: no block found: none of its {} module calls has two layers; adascale inspect shows them",
            model, plan.sim.program().calls.size());
}

}  // namespace

const Door& door_of(const QuantizeRequest& request, const Doors& doors) {
  Objections objections;
  const Door* door = nullptr;
  check_options(request, objections);
  objections.gather([&] { door = &door_for(doors, request.model); });
  check_data_files(request.data, objections);
  objections.raise();
  return *door;
}

RunPlan plan_run(const QuantizeRequest& asked, const Doors& doors) {
  const Door& door = door_of(asked, doors);
  const std::vector<ChosenFormat> formats = formats_of(asked, door);
  check_writable(asked.output_dir);
  DataRequest data = asked.data;
  data.seed = asked.training.seed;
  OpenedModel opened = door.open(asked.model, data);
  const Batches batches = cut_batches(opened, data);
  QuantizeRequest request = settled(asked, opened);

  ModelPlan model = plan_model(std::move(opened.program), request, !opened.is_shared, fit_grids(formats));
  check_has_blocks(model, request.model);
  TrainingPlan training = plan_training(model.sim, model.blocks, batches.inputs, request.training);
  RunPlan plan{std::move(request),     std::move(model), batches, std::move(training), {},
               std::move(opened.notes)};
  plan.files.formats = formats;
  const ExportOptions options{
      .encoding_version = plan.request.encoding_version, .source = opened.source, .plan = hash_of(plan)};
  Objections objections;
  plan.files =
      plan_export(plan.model.sim, formats, plan.request.output_dir, opened.stem, options, objections);
  std::vector<std::string> sources = data.files;
  sources.push_back(plan.request.model);
  sources.push_back(opened.source.path);  // e.g. the .gguf in the folder
  check_no_overwritten(plan.files.paths(), sources, objections);
  check_no_leftovers(plan.files, objections);
  check_places(plan.files, objections);
  objections.raise();
  for (const std::string& note : plan.files.notes()) plan.notes.push_back(note);
  return plan;
}

}  // namespace adascale
