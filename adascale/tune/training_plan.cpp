#include "adascale/tune/training_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "adascale/core/error.h"
#include "adascale/core/glob.h"
#include "adascale/core/spelling.h"
#include "adascale/tune/check_batches.h"
#include "adascale/tune/checkpoint.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

using Parts = std::vector<PartToTrain>;

bool any_sim(const Parts& parts, const std::function<bool(const QuantizationSimModel&)>& test) {
  return std::any_of(parts.begin(), parts.end(), [&](const PartToTrain& part) { return test(part.sim); });
}

void check_state(const Parts& parts, Objections& objections) {
  if (any_sim(parts, [](const auto& sim) { return sim.is_calibrated(); }))
    objections.add(
        "apply_adascale: called after compute_encodings, which froze the weights, "
        "or after load_encodings with all activations; call it before");
  for (const PartToTrain& part : parts) objections.gather([&] { part.sim.check_unchanged(); });
  if (any_sim(parts, [](const auto& sim) { return !sim.training().empty(); }))
    objections.add("apply_adascale: called twice on one simulation; make a new one");
}

void check_options(const AdaScaleOptions& options, Objections& objections) {
  RuleChecker checker(objections);
  visit_adascale_options(checker, options);
}

bool any_trainable(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const Block& block) { return !weights_to_train(sim, block).empty(); });
}

/// Why no block of a part is trained; empty: one is.
std::string reason_idle(const PartToTrain& part, const std::vector<Block>& blocks, const Recipe& recipe) {
  if (!part.is_whole() && blocks.empty()) return "not among the blocks named, round-to-nearest";
  if (!part.is_whole() && part.batches.empty()) return "no batch reaches it, round-to-nearest";
  if (recipe.trains() && !any_trainable(part.sim, blocks))
    return fmt::format("none of its layers has 2 to {} bits to train", kMaxTrainedBits);
  return {};
}

void check_held_out(const PartToTrain& part, int64_t held_out, Objections& objections) {
  const auto batches = static_cast<int64_t>(part.batches.size());
  if (batches == 0 || held_out < batches) return;
  if (part.is_whole())
    objections.add("{}: got {} of {} batches, expected 0 to {}", option("held_out_batches"), held_out,
                   batches, batches - 1);
  else
    objections.add("{}: {}: got {} of the {} batches that reach it, expected 0 to {}", part.path,
                   option("held_out_batches"), held_out, batches, batches - 1);
}

/// A batch twice in a step would count twice.
void check_accumulated(const PartToTrain& part, const AdaScaleOptions& options, Objections& objections) {
  const int64_t trained = static_cast<int64_t>(part.batches.size()) - options.held_out_batches;
  if (part.is_whole() && trained > 0 && options.accumulate > trained)
    objections.add("{}: got {}, but {} batches are trained on; give smaller batches or more data",
                   option("accumulate"), options.accumulate, trained);
}

/// Each process takes the same number of batches, in each step too.
void check_shares(const PartToTrain& part, const AdaScaleOptions& options, Objections& objections) {
  const int64_t processes = present_team()->size();
  if (processes == 1) return;
  if (!part.is_whole()) {
    objections.add(
        "a model simulated block by block is trained by one process, got {}; start it without torchrun",
        processes);
    return;
  }
  const auto check = [&](const std::string& what, int64_t count, const std::string& cure = "") {
    if (count % processes != 0)
      objections.add("{}: got {} for {} processes, expected a multiple of {}{}", what, count, processes,
                     processes, cure);
  };
  check(option("accumulate"), options.accumulate);
  check(option("held_out_batches"), options.held_out_batches);
  check("the number of calibration batches", static_cast<int64_t>(part.batches.size()),
        "; give other data, or smaller batches");
}

void check_budget(const AdaScaleOptions& options, const Recipe& recipe, Objections& objections) {
  if (!recipe.trains() && (options.num_epochs || options.num_iterations))
    objections.add("{}: trains nothing; leave out {} and {}", option("recipe", recipe.name), option("epochs"),
                   option("iterations"));
  if (options.num_epochs && options.num_iterations)
    objections.add("{} and {}: both are given, expected one of them", option("epochs"), option("iterations"));
  if (options.resume && options.checkpoint_dir.empty())
    objections.add("{}: nothing is kept without {}; give it too", option("resume"), option("checkpoint_dir"));
  if (options.lr_scale == 0)
    objections.add("{}: got {}, expected more than 0", option("lr_scale"), options.lr_scale);
}

void check_batch_counts(const Parts& parts, const AdaScaleOptions& options, const Recipe& recipe,
                        Objections& objections) {
  for (const PartToTrain& part : parts) {
    if (part.is_whole() && part.batches.empty())
      objections.add("apply_adascale: the data gave no batch; a generator can be read only once");
    if (part.is_whole() || reason_idle(part, part.blocks, recipe).empty())
      check_held_out(part, options.held_out_batches, objections);
    if (recipe.trains()) check_accumulated(part, options, objections);
    check_shares(part, options, objections);
  }
}

std::vector<std::string> list_not_trained(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  std::vector<std::string> lines;
  for (const QuantizedWeight& weight : sim.weights()) {
    const std::string reason = reason_not_trained(sim, weight, blocks);
    if (!reason.empty()) lines.push_back(fmt::format("{}: {}", weight.layer.name, reason));
  }
  for (const Layer& layer : sim.unquantized().excluded)
    lines.push_back(layer.name + ": left in full precision");
  for (const PassedOver& layer : sim.unquantized().passed_over)
    lines.push_back(fmt::format("{}: {}", layer.name, layer.reason));
  return lines;
}

void check_deterministic(c10::Device device, const AdaScaleOptions& options, Objections& objections) {
  if (!options.deterministic || !device.is_cuda()) return;
  const char* set = std::getenv("CUBLAS_WORKSPACE_CONFIG");
  const std::string given = set == nullptr ? "" : set;
  if (given == ":4096:8" || given == ":16:8") return;
  objections.add(
      "{}: CUBLAS_WORKSPACE_CONFIG: got '{}', expected :4096:8 or :16:8, with which alone cuBLAS sums in one "
      "order; set it before the first CUDA call",
      option("deterministic"), given);
}

Recipe find_recipe(const std::string& name, Objections& objections) {
  Recipe recipe = recipes().front();
  objections.gather([&] { recipe = recipe_named(name); });
  return recipe;
}

void add_layers_outside(const PartToTrain& part, std::vector<Block>& blocks, Objections& objections) {
  if (!part.is_whole()) return;  // refused already
  const QuantizationSimModel& sim = part.sim;
  const std::vector<Block> outside = blocks_of_layers_outside(sim, blocks);
  if (outside.empty())
    objections.add(
        "{}: no layer outside the blocks is quantized; leave it out, or give such layers bits ({}, {})",
        option("train_outside"), option("outside_bw"), option("layer_config"));
  blocks.insert(blocks.end(), outside.begin(), outside.end());
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.nodes.front() < b.nodes.front(); });
}

bool any_takes_bfloat16(const QuantizationSimModel& sim) {
  const auto& weights = sim.weights();
  return std::any_of(weights.begin(), weights.end(), [&](const QuantizedWeight& weight) {
    return is_trainable(weight) && takes_bfloat16(sim, weight);
  });
}

/// Otherwise a request for bf16 that no layer takes would silently have no effect.
void check_precision(const Parts& parts, const AdaScaleOptions& options, Objections& objections) {
  if (options.precision == "bfloat16" && !any_sim(parts, any_takes_bfloat16))
    objections.add("{}: got bfloat16, but no weight takes it: fp32 ones of up to 4 bits do; use auto",
                   option("precision"));
}

/// Puts the parts that have something to train into the plan, and objects if there is none.
void choose_parts(const Parts& parts, TrainingPlan& plan, Objections& objections) {
  size_t found = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const PartToTrain& part = parts[i];
    std::vector<Block> blocks = part.blocks;
    if (plan.options.train_outside) add_layers_outside(part, blocks, objections);
    found += blocks.size();
    const std::string idle = reason_idle(part, blocks, plan.recipe);
    if (idle.empty() || part.is_whole())
      for (std::string& line : list_not_trained(part.sim, blocks))
        plan.not_trained.push_back(std::move(line));
    else
      plan.not_trained.push_back(fmt::format("{}: {}", part.path, idle));
    if (idle.empty()) plan.parts.push_back({i, std::move(blocks)});
  }
  if (found == 0)
    objections.add("apply_adascale: found no block to train: no module call has two layers; looked at: {}",
                   fmt::join(list_calls(parts.front().sim.program()), ", "));
  else if (plan.parts.empty())
    objections.add(
        "apply_adascale: no layer in the {} blocks found can be trained ({}); give them 2 to {} bits, or use "
        "{}",
        found, fmt::join(plan.not_trained, "; "), kMaxTrainedBits, option("recipe", "rtn"));
}

int64_t most_batches(const Parts& parts) {
  size_t most = 0;
  for (const PartToTrain& part : parts) most = std::max(most, part.batches.size());
  return static_cast<int64_t>(most);
}

void check_signs(const Parts& parts, const Recipe& recipe, Objections& objections) {
  if (recipe.takes_signed_scales) return;
  for (const PartToTrain& part : parts)
    for (const QuantizedWeight& weight : part.sim.weights())
      if (weight.grid.signed_scale) {
        objections.add("{}: the scales of the recipe {} are positive; make the simulation with {}",
                       option("recipe", recipe.name), recipe.name, option("scale_sign", kPositive));
        return;
      }
}

void check_last_stage(const PartToTrain& part, const Recipe& recipe, Objections& objections) {
  if (recipe.last_stage_rate == 0) return;
  const std::string asked = option("recipe", recipe.name);
  if (present_team()->size() > 1)
    objections.add(
        "{}: its last stage is trained by one process, got {}; start it without torchrun, or choose "
        "another recipe",
        asked, present_team()->size());
  if (part.sim.options().in_place)
    objections.add("{}: its last stage needs the full-precision weights, which {} overwrites; leave one out",
                   asked, option("in_place"));
}

/// What needs no batch. Returns the recipe; where the options name none, another, which is of no use.
Recipe check_start(const Parts& parts, const AdaScaleOptions& options, Objections& objections) {
  check_state(parts, objections);
  check_options(options, objections);
  Recipe recipe = find_recipe(options.recipe, objections);
  check_budget(options, recipe, objections);
  check_signs(parts, recipe, objections);
  check_last_stage(parts.front(), recipe, objections);
  return recipe;
}

/// Half of a block's, but 100 and a pass over the data if a block has so many: for SmolLM2 100 give what 200 and 400 give,
/// and 50 do not (docs/accuracy.md).
int64_t iterations_of_last_stage(const TrainingPlan& plan, int64_t batches) {
  constexpr int64_t kEnough = 100;
  const int64_t steps = plan.options.accumulate, pass = (plan.training_batches(batches) + steps - 1) / steps;
  return std::min(plan.iterations, std::max({(plan.iterations + 1) / 2, kEnough, pass}));
}

/// Where the options hold no batches out, an eighth.
void plan_last_stage(const PartToTrain& part, TrainingPlan& plan, Objections& objections) {
  if (plan.recipe.last_stage_rate == 0) return;
  if (!part.is_whole()) {
    plan.no_last_stage = "the model is trained block by block, without a program of the whole";
    return;
  }
  int64_t& held_out = plan.options.held_out_batches;
  const int64_t batches = held_out > 0 ? held_out : held_out_for_last_stage(part.batches);
  plan.no_last_stage = why_no_last_stage(part.sim, plan.parts.front().blocks, batches);
  if (plan.has_last_stage()) held_out = batches;
  check_accumulated(part, plan.options, objections);
}

TrainingPlan make_plan(const Parts& parts, const AdaScaleOptions& options, Objections objections) {
  TrainingPlan plan{
      .options = options, .team = present_team(), .recipe = check_start(parts, options, objections)};
  check_batch_counts(parts, options, plan.recipe, objections);
  for (const PartToTrain& part : parts)
    check_batches(part.sim.program(), part.path, part.batches, objections);
  choose_parts(parts, plan, objections);
  check_precision(parts, options, objections);
  objections.raise();

  const c10::Device device = parts.front().sim.program().device;
  check_deterministic(device, options, objections);
  plan.memory = plan_memory(parts, plan, objections);
  objections.raise();
  plan.recipe.scale_rate *= options.lr_scale;
  plan.recipe.rounding_rate *= options.lr_scale;
  if (any_sim(parts, any_takes_bfloat16))
    plan.compute_type = compute_type(options.precision, plan.recipe, device);
  plan_last_stage(parts.front(), plan, objections);
  objections.raise();
  plan.recipe.last_stage_rate *= options.lr_scale;
  plan.iterations = plan.iterations_over(most_batches(parts));
  plan.last_stage_iterations =
      plan.has_last_stage() ? iterations_of_last_stage(plan, most_batches(parts)) : 0;
  plan.work = count_work(parts, plan);
  visit_sim_options(OptionTexts(plan.asked), parts.front().sim.options());
  visit_adascale_options(OptionTexts(plan.asked), options);
  if (keeps_blocks(options) || plan.team->size() > 1)
    for (const PartToTrain& part : parts) plan.data += digest_of(part.batches);
  return plan;
}

/// The block of a part is its module; none if the options name others.
std::vector<Block> block_of(const SimPart& part, const std::vector<std::string>& patterns) {
  const auto is_named = [&](const std::string& pattern) { return glob_match(pattern, part.path); };
  if (!patterns.empty() && std::none_of(patterns.begin(), patterns.end(), is_named)) return {};
  return blocks_matching(part.sim.program(), {glob_of(part.path)});
}

/// Objects to options that mean something else where there is no program of the whole.
void check_training_of_parts(const PartedModel& model, const AdaScaleOptions& options,
                             Objections& objections) {
  std::vector<std::string> paths;
  for (const SimPart& part : model.parts) paths.push_back(part.path);
  for (const std::string& pattern : options.blocks)
    if (std::none_of(paths.begin(), paths.end(),
                     [&](const std::string& path) { return glob_match(pattern, path); }))
      objections.add("{}: '{}' matches none of the blocks captured: {}", option("blocks"), pattern,
                     fmt::join(paths, ", "));
  if (options.train_outside)
    objections.add(
        "{}, but of a model simulated block by block the blocks alone are quantized and trained; leave it "
        "out, or name more modules where the model is simulated",
        option("train_outside", true));
}

Parts parts_of(const PartedModel& model, const std::vector<std::vector<Inputs>>& batches,
               const AdaScaleOptions& options) {
  Parts parts;
  for (size_t i = 0; i < model.parts.size(); ++i)
    parts.push_back(
        {model.parts[i].sim, model.parts[i].path, block_of(model.parts[i], options.blocks), batches.at(i)});
  return parts;
}

}  // namespace

int64_t TrainingPlan::iterations_over(int64_t batches) const {
  if (!recipe.trains()) return 0;
  const int64_t steps = (training_batches(batches) + options.accumulate - 1) / options.accumulate;
  return options.num_iterations.value_or(options.num_epochs.value_or(1) * steps);
}

std::vector<int64_t> TrainingPlan::compared_batches(int64_t batches) const {
  constexpr int64_t kMostTrained = 32;
  const int64_t training = std::max<int64_t>(training_batches(batches), 0);
  const int64_t count = std::min(training, kMostTrained);
  std::vector<int64_t> compared;
  for (int64_t i = 0; i < count; ++i) compared.push_back(i * training / count);
  for (int64_t batch = training; batch < batches; ++batch) compared.push_back(batch);
  return compared;
}

std::vector<Block> blocks_to_train(const Program& program, const AdaScaleOptions& options) {
  return options.blocks.empty() ? find_blocks(program) : blocks_matching(program, options.blocks);
}

TrainingPlan plan_training(const QuantizationSimModel& sim, std::vector<Block> blocks,
                           const std::vector<Inputs>& batches, const AdaScaleOptions& options) {
  return make_plan({{sim, "", std::move(blocks), batches}}, options, {});
}

void check_before_data(const PartedModel& model, const AdaScaleOptions& options) {
  Objections objections;
  check_training_of_parts(model, options, objections);
  const std::vector<std::vector<Inputs>> none(model.parts.size());
  check_start(parts_of(model, none, options), options, objections);
  objections.raise();
}

TrainingPlan plan_training(const PartedModel& model, const std::vector<std::vector<Inputs>>& batches,
                           const AdaScaleOptions& options) {
  Objections objections;
  check_training_of_parts(model, options, objections);
  TrainingPlan plan = make_plan(parts_of(model, batches, options), options, std::move(objections));
  for (const auto& [path, reason] : model.not_captured)
    plan.not_trained.push_back(fmt::format("{}: {}", path, reason));
  for (const std::string& name : model.outside)
    plan.not_trained.push_back(name + ": outside every block, full precision");
  return plan;
}

}  // namespace adascale
