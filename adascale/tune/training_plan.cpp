#include "adascale/tune/training_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "adascale/core/error.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

constexpr size_t kMaxBadBatches = 3;  // named in the message; more would bury it

void check_state(const QuantizationSimModel& sim, Objections& objections) {
  if (sim.is_calibrated())
    objections.add(
        "apply_adascale: called after compute_encodings, which froze the weights, "
        "or after load_encodings with all activations; call it before");
  try {
    sim.check_unchanged();
  } catch (const Error& error) {  // boundary: one objection among others
    objections.add("{}", error.what());
  }
  if (!sim.training.empty()) objections.add("apply_adascale: called twice on one simulation; make a new one");
}

void check_options(const AdaScaleOptions& options, Objections& objections) {
  RuleChecker checker(objections);
  visit_adascale_options(checker, options);
}

void check_budget(const AdaScaleOptions& options, const Recipe& recipe, int64_t batches,
                  Objections& objections) {
  if (!recipe.trains() && (options.num_epochs || options.num_iterations))
    objections.add("apply_adascale: recipe {} trains nothing; leave out epochs and iterations", recipe.name);
  if (options.num_epochs && options.num_iterations)
    objections.add("apply_adascale: got epochs and iterations, expected one of them");
  if (options.lr_scale == 0) objections.add("lr_scale: got {}, expected more than 0", options.lr_scale);
  if (batches == 0)
    objections.add("apply_adascale: the data gave no batch; a generator can be read only once");
  else if (options.held_out_batches >= batches)
    objections.add("held_out_batches: got {} of {} batches, expected 0 to {}", options.held_out_batches,
                   batches, batches - 1);
}

bool is_finite(const c10::IValue& input) {
  if (!input.isTensor() || !input.toTensor().is_floating_point()) return true;
  return input.toTensor().isfinite().all().item<bool>();
}

void check_batches(const Program& program, const std::vector<Inputs>& batches, Objections& objections) {
  const auto inputs = program.user_inputs();
  size_t bad = 0;
  for (size_t i = 0; i < batches.size() && bad < kMaxBadBatches; ++i) {
    try {
      check_inputs(program, batches[i]);
    } catch (const Error& error) {  // boundary: one objection among others
      ++bad;
      objections.add("batch {}: {}", i, error.what());
      continue;
    }
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (is_finite(batches[i][k])) continue;
      ++bad;
      objections.add("batch {}: input '{}' holds NaN or infinity", i, inputs[k]->name);
    }
  }
}

std::vector<std::string> list_not_trained(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  std::vector<std::string> lines;
  for (const QuantizedWeight& weight : sim.weights()) {
    const std::string reason = reason_not_trained(sim, weight, blocks);
    if (!reason.empty()) lines.push_back(fmt::format("{}: {}", weight.layer.name, reason));
  }
  for (const Layer& layer : sim.excluded()) lines.push_back(layer.name + ": left in full precision");
  for (const PassedOver& layer : sim.passed_over())
    lines.push_back(fmt::format("{}: {}", layer.name, layer.reason));
  return lines;
}

void check_deterministic(c10::Device device, const AdaScaleOptions& options, Objections& objections) {
  if (!options.deterministic || !device.is_cuda()) return;
  const char* set = std::getenv("CUBLAS_WORKSPACE_CONFIG");
  const std::string given = set == nullptr ? "" : set;
  if (given == ":4096:8" || given == ":16:8") return;
  objections.add(
      "deterministic: CUBLAS_WORKSPACE_CONFIG: got '{}', expected :4096:8 or :16:8, "
      "with which alone cuBLAS sums in one order; set it before the first CUDA call",
      given);
}

Recipe find_recipe(const std::string& name, Objections& objections) {
  try {
    return recipe_named(name);
  } catch (const Error& error) {  // boundary: likewise
    objections.add("{}", error.what());
    return recipes().front();
  }
}

void add_layers_outside(const QuantizationSimModel& sim, std::vector<Block>& blocks, Objections& objections) {
  const std::vector<Block> outside = blocks_of_layers_outside(sim, blocks);
  if (outside.empty())
    objections.add(
        "train_outside: no layer outside the blocks is quantized; give them bits (outside_bw, layer_config)");
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
void check_precision(const QuantizationSimModel& sim, const AdaScaleOptions& options,
                     Objections& objections) {
  if (options.precision == "bfloat16" && !any_takes_bfloat16(sim))
    objections.add("precision: got bfloat16, but no weight takes it: fp32 ones of up to 4 bits do; use auto");
}

/// The calls considered, in one line as errors need.
std::string list_calls(const Program& program) {
  std::istringstream lines(describe_calls(program, {}));
  std::vector<std::string> calls;
  for (std::string line; std::getline(lines, line);)
    calls.push_back(line.substr(line.find_first_not_of(' ')));
  return fmt::format("{}", fmt::join(calls, ", "));
}

bool any_trainable(const QuantizationSimModel& sim, const std::vector<Block>& blocks) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&](const Block& block) { return !weights_to_train(sim, block).empty(); });
}

}  // namespace

std::vector<Block> blocks_to_train(const Program& program, const AdaScaleOptions& options) {
  return options.blocks.empty() ? find_blocks(program) : blocks_matching(program, options.blocks);
}

TrainingPlan plan_training(const QuantizationSimModel& sim, std::vector<Block> blocks,
                           const std::vector<Inputs>& batches, const AdaScaleOptions& options) {
  Objections objections;
  const auto count = static_cast<int64_t>(batches.size());
  check_state(sim, objections);
  check_options(options, objections);
  TrainingPlan plan{.options = options, .blocks = std::move(blocks)};
  plan.recipe = find_recipe(options.recipe, objections);
  check_budget(options, plan.recipe, count, objections);
  check_batches(sim.program(), batches, objections);

  plan.recipe.scale_rate *= options.lr_scale;
  plan.recipe.rounding_rate *= options.lr_scale;
  if (options.train_outside) add_layers_outside(sim, plan.blocks, objections);
  if (plan.blocks.empty())
    objections.add("apply_adascale: found no block to train: no module call has two layers; looked at: {}",
                   list_calls(sim.program()));
  else if (plan.recipe.trains() && !any_trainable(sim, plan.blocks))
    objections.add(
        "apply_adascale: no layer in the {} blocks found can be trained ({}); "
        "give them 2 to {} bits, or use recipe rtn",
        plan.blocks.size(), fmt::join(list_not_trained(sim, plan.blocks), "; "), kMaxTrainedBits);
  check_precision(sim, options, objections);
  objections.raise();
  check_deterministic(sim.program().device, options, objections);
  plan.memory = plan_memory(sim, plan.blocks, batches, plan.recipe, options, objections);
  objections.raise();
  if (any_takes_bfloat16(sim))
    plan.compute_type = compute_type(options.precision, plan.recipe, sim.program().device);

  plan.training_batches = count - options.held_out_batches;
  if (plan.recipe.trains())
    plan.iterations = options.num_iterations.value_or(options.num_epochs.value_or(1) * plan.training_batches);
  plan.not_trained = list_not_trained(sim, plan.blocks);
  return plan;
}

}  // namespace adascale
