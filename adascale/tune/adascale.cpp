#include "adascale/tune/adascale.h"

#include <chrono>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/seed.h"
#include "adascale/device/flags.h"
#include "adascale/device/memory.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/failure.h"
#include "adascale/tune/parts_walk.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/program_walk.h"
#include "adascale/tune/start_ranges.h"
#include "adascale/tune/trained_layers.h"
#include "adascale/tune/training_plan.h"
#include "adascale/tune/tune_block.h"

namespace adascale {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

using Sims = std::vector<QuantizationSimModel*>;  // by part

AdaScaleReport train_blocks(const TrainingPlan& plan, const Sims& sims, InputSource& source);

}  // namespace

AdaScaleReport apply_adascale(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                              const AdaScaleOptions& options) {
  const auto start = Clock::now();
  const TrainingPlan plan = plan_training(sim, blocks_to_train(sim.program(), options), batches, options);
  AdaScaleReport report = train(sim, plan, batches);
  report.seconds = seconds_since(start);
  return report;
}

AdaScaleReport apply_adascale(const PartedModel& model, const std::vector<std::vector<Inputs>>& batches,
                              const CatchInputs& catch_inputs, const AdaScaleOptions& options) {
  const auto start = Clock::now();
  const TrainingPlan plan = plan_training(model, batches, options);
  AdaScaleReport report = train(model, plan, catch_inputs);
  report.seconds = seconds_since(start);
  return report;
}

AdaScaleReport train(QuantizationSimModel& sim, const TrainingPlan& plan,
                     const std::vector<Inputs>& batches) {
  const KeptMemory memory;
  ProgramWalk walk(sim, plan.parts.front().blocks, batches,
                   ActivationStore(plan.options.activation_memory << 20, plan.memory.on_device),
                   plan.memory.largest_block);
  return train_blocks(plan, {&sim}, walk);
}

AdaScaleReport train(const PartedModel& model, const TrainingPlan& plan, const CatchInputs& catch_inputs) {
  const KeptMemory memory;
  PartsWalk walk(model, plan, catch_inputs);
  Sims sims;
  for (const SimPart& part : model.parts) sims.push_back(&part.sim);
  return train_blocks(plan, sims, walk);
}

namespace {

/// One apply_adascale: a block, what it is trained on, what its weights become. ARCHITECTURE.md, "The
/// algorithm", says the same in four sentences.
struct Run {
  /// A block and the simulation that it is folded into.
  struct Step {
    QuantizationSimModel& sim;
    const Block& block;
  };

  const TrainingPlan& plan;
  InputSource& source;
  AdaScaleReport report;
  std::vector<Step> steps = {};
  std::vector<std::string> folded = {};  ///< blocks whose weights are decided, for a failure's message

  void train();
  void visit(size_t index);
  bool is_reached(size_t index);
  BlockJob prepare(size_t index);
  BlockReport decide(const BlockJob& job);
  void freeze(const BlockJob& job, const TunedBlock& tuned);
  OnIteration show(const BlockJob& job) const;
};

AdaScaleReport train_blocks(const TrainingPlan& plan, const Sims& sims, InputSource& source) {
  const auto start = Clock::now();
  const c10::Device device = sims.front()->program().device;
  Run run{plan,
          source,
          {.recipe = plan.recipe.name,
           .device = device.str(),
           .precision = describe_precision(plan.compute_type, {sims.begin(), sims.end()}),
           .not_trained = plan.not_trained,
           .block_bytes = plan.memory.largest_block}};
  for (const PartPlan& part : plan.parts)
    for (const Block& block : part.blocks) run.steps.push_back({*sims[part.part], block});
  {
    // For the FP streams too: targets are full fp32, whatever torch allows convolutions.
    const FlagScope scope(device, {.deterministic = plan.options.deterministic});
    run.train();
  }
  give_back_device_memory(device);
  run.report.seconds = seconds_since(start);
  return std::move(run.report);
}

void Run::train() {
  size_t index = 0;
  try {
    for (; index < steps.size(); ++index) visit(index);
  } catch (...) {  // boundary: says what a failure leaves behind
    rethrow_naming_folded(folded, steps[index].block.name, plan.options);
  }
}

void Run::visit(size_t index) {
  source.reach(index);
  if (is_reached(index)) {
    const BlockJob job = prepare(index);
    if (job.weights.empty()) {
      source.run_quant(index, {});
      report.blocks.push_back({.name = job.block.name, .note = "nothing to train"});
    } else {
      report.blocks.push_back(decide(job));
    }
  }
  source.leave(index);
  KeptMemory::give_back();
}

/// Quantized blocks before it may turn a model that decides by its data onto another path.
bool Run::is_reached(size_t index) {
  const int64_t batches = source.batches();
  if (plan.training_batches(batches) > 0) return true;
  const std::string left = batches == 0 ? "no batch reaches it"
                                        : fmt::format("all {} batches that reach it are held out", batches);
  report.not_trained.push_back(
      fmt::format("{}: {} once quantized, round-to-nearest", steps[index].block.name, left));
  return false;
}

/// Runs the block in the FP stream, whose outputs are the targets.
BlockJob Run::prepare(size_t index) {
  const auto& [sim, block] = steps[index];
  const std::vector<int32_t> weights = weights_to_train(sim, block);
  const int64_t training_batches = plan.training_batches(source.batches());
  return {.sim = sim,
          .block = block,
          .index = index,
          .source = source,
          .weights = weights,
          .start = run_fp_for_start_ranges(sim, plan.recipe, source, index, training_batches, weights),
          .recipe = plan.recipe,
          .compute_type = plan.compute_type,
          .iterations = plan.iterations_over(source.batches()),
          .training_batches = training_batches,
          .deterministic = plan.options.deterministic,
          .seed = derive_seed(static_cast<uint64_t>(plan.options.seed), index)};
}

/// Trains the block's weights and freezes the best ones. The next block reads what these give.
BlockReport Run::decide(const BlockJob& job) {
  const auto begin = Clock::now();
  const TunedBlock tuned = tune_block(job, plan.options.keep_better, show(job));
  BlockReport block = report_block(job, tuned);
  freeze(job, tuned);
  if (!tuned.kept_ran_last()) source.run_quant(job.index, {});
  block.seconds = seconds_since(begin);
  return block;
}

/// Freezes the codes, scales and offsets found; the parameters receive w_dq.
void Run::freeze(const BlockJob& job, const TunedBlock& tuned) {
  QuantizationSimModel& sim = steps[job.index].sim;
  SimEditor editor(sim);
  const std::vector<Encoding>& encodings = tuned.kept().encodings;
  for (size_t i = 0; i < encodings.size(); ++i) {
    editor.fold(job.weights[i], encodings[i], tuned.keeps_trained && plan.recipe.trains());
    // Not before there is something to keep: a run that failed earlier may be repeated.
    if (sim.training().empty())
      editor.set_training({{"recipe", plan.recipe.name},
                           {"iterations", std::to_string(job.iterations)},
                           {"seed", std::to_string(plan.options.seed)}});
    if (i == 0) folded.push_back(job.block.name);
  }
}

/// An attempt with shorter steps is shown as a stage of its own.
OnIteration Run::show(const BlockJob& job) const {
  const std::string block = fmt::format("block {}/{} {}", job.index + 1, steps.size(), job.block.name);
  return [this, block, total = job.iterations](double step_length, int64_t step, double loss) {
    if (!plan.options.progress) return;
    const std::string stage =
        step_length == 1 ? block : fmt::format("{}, {} of the step", block, step_length);
    plan.options.progress({stage, step, total, loss});
  };
}

}  // namespace
}  // namespace adascale
