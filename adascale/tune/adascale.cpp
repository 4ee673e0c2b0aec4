#include "adascale/tune/adascale.h"

#include <chrono>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/seed.h"
#include "adascale/device/flags.h"
#include "adascale/device/memory.h"
#include "adascale/tune/failure.h"
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

/// One apply_adascale: a block, what it is trained on, what its weights become. ARCHITECTURE.md, "The
/// algorithm", says the same in four sentences.
struct Run {
  QuantizationSimModel& sim;
  const TrainingPlan& plan;
  ProgramWalk& walk;
  std::vector<std::string> folded = {};  ///< blocks whose weights are decided, for a failure's message

  BlockReport visit(size_t index);
  BlockJob prepare(size_t index);
  BlockReport decide(const BlockJob& job);
  void freeze(const BlockJob& job, const TunedBlock& tuned);
  OnIteration show(const BlockJob& job) const;
};

AdaScaleReport train(QuantizationSimModel& sim, const TrainingPlan& plan,
                     const std::vector<Inputs>& fp_batches, const std::vector<Inputs>& quant_batches) {
  const auto start = Clock::now();
  const KeptMemory memory;
  AdaScaleReport report{.recipe = plan.recipe.name,
                        .device = sim.program().device.str(),
                        .precision = describe_precision(plan.compute_type, sim),
                        .not_trained = plan.not_trained};
  // For the FP streams too: targets are full fp32, whatever torch allows convolutions.
  const FlagScope scope(sim.program().device, {.deterministic = plan.options.deterministic});
  ProgramWalk walk(sim, plan.blocks, fp_batches, quant_batches,
                   ActivationStore(plan.options.activation_memory << 20, plan.memory.on_device),
                   plan.memory.largest_block);
  Run run{sim, plan, walk};
  try {
    for (size_t i = 0; i < plan.blocks.size(); ++i) report.blocks.push_back(run.visit(i));
  } catch (...) {  // boundary: says what a failure leaves behind
    rethrow_naming_folded(run.folded, plan.blocks[report.blocks.size()].name, plan.options);
  }
  give_back_device_memory(sim.program().device);
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace

AdaScaleReport apply_adascale(QuantizationSimModel& sim, const std::vector<Inputs>& batches,
                              const AdaScaleOptions& options) {
  return apply_adascale_to_part(sim, batches, batches, options);
}

AdaScaleReport apply_adascale_to_part(QuantizationSimModel& sim, const std::vector<Inputs>& fp_batches,
                                      const std::vector<Inputs>& quant_batches,
                                      const AdaScaleOptions& options) {
  ADA_CHECK(fp_batches.size() == quant_batches.size(),
            "apply_adascale: got {} batches of the FP model and {} of the quantized one, expected as many",
            fp_batches.size(), quant_batches.size());
  const auto start = Clock::now();
  const TrainingPlan plan = plan_training(sim, blocks_to_train(sim.program(), options), fp_batches, options);
  AdaScaleReport report = train(sim, plan, fp_batches, quant_batches);
  report.seconds = seconds_since(start);
  return report;
}

AdaScaleReport train(QuantizationSimModel& sim, const TrainingPlan& plan,
                     const std::vector<Inputs>& batches) {
  return train(sim, plan, batches, batches);
}

namespace {

BlockReport Run::visit(size_t index) {
  walk.reach(index);
  const BlockJob job = prepare(index);
  BlockReport report{.name = job.block.name, .note = "nothing to train"};
  if (job.weights.empty())
    walk.run_quant(index);
  else
    report = decide(job);
  walk.leave(index);
  KeptMemory::give_back();
  return report;
}

/// Runs the block in the FP stream, whose outputs are the targets.
BlockJob Run::prepare(size_t index) {
  const Block& block = plan.blocks[index];
  const std::vector<int32_t> weights = weights_to_train(sim, block);
  return {.sim = sim,
          .block = block,
          .index = index,
          .source = walk,
          .weights = weights,
          .start = run_fp_for_start_ranges(sim, plan, walk, index, weights),
          .recipe = plan.recipe,
          .compute_type = plan.compute_type,
          .iterations = plan.iterations,
          .training_batches = plan.training_batches,
          .deterministic = plan.options.deterministic,
          .seed = derive_seed(static_cast<uint64_t>(plan.options.seed), index)};
}

/// Trains the block's weights and freezes the best ones. The next block reads what these give.
BlockReport Run::decide(const BlockJob& job) {
  const auto begin = Clock::now();
  const TunedBlock tuned = tune_block(job, plan.options.keep_better, show(job));
  BlockReport report = report_block(job, tuned);
  freeze(job, tuned);
  if (!tuned.kept_ran_last()) walk.run_quant(job.index);
  report.seconds = seconds_since(begin);
  return report;
}

/// Freezes the codes, scales and offsets found; the parameters receive w_dq.
void Run::freeze(const BlockJob& job, const TunedBlock& tuned) {
  const std::vector<Encoding>& encodings = tuned.kept().encodings;
  for (size_t i = 0; i < encodings.size(); ++i) {
    sim.fold(job.weights[i], encodings[i], tuned.keeps_trained && plan.recipe.trains());
    // Not before there is something to keep: a run that failed earlier may be repeated.
    if (sim.training.empty())
      sim.training = {{"recipe", plan.recipe.name},
                      {"iterations", std::to_string(plan.iterations)},
                      {"seed", std::to_string(plan.options.seed)}};
    if (i == 0) folded.push_back(job.block.name);
  }
}

/// An attempt with shorter steps is shown as a stage of its own.
OnIteration Run::show(const BlockJob& job) const {
  const std::string block = fmt::format("block {}/{} {}", job.index + 1, plan.blocks.size(), job.block.name);
  return [this, block](double step_length, int64_t step, double loss) {
    if (!plan.options.progress) return;
    const std::string stage =
        step_length == 1 ? block : fmt::format("{}, {} of the step", block, step_length);
    plan.options.progress({stage, step, plan.iterations, loss});
  };
}

}  // namespace
}  // namespace adascale
