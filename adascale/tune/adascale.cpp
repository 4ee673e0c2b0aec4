#include "adascale/tune/adascale.h"

#include <chrono>

#include "adascale/core/error.h"
#include "adascale/core/interrupt.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/seed.h"
#include "adascale/device/flags.h"
#include "adascale/device/memory.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/checkpoint.h"
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
  Checkpoint checkpoint;
  AdaScaleReport report;
  std::vector<Step> steps = {};
  std::vector<std::string> folded = {};  ///< blocks whose weights are decided, for a failure's message

  void train();
  void visit(size_t index);
  bool is_reached(size_t index);
  BlockJob prepare(size_t index);
  BlockJob job_of(size_t index) const;
  BlockReport decide(const BlockJob& job);
  std::optional<SavedBlock> finished(size_t index);
  BlockReport repeat(size_t index, SavedBlock saved);
  void freeze(size_t index, const SavedBlock& decided);
  OnIteration show(const BlockJob& job) const;
};

Checkpoint open_checkpoint(const TrainingPlan& plan, const Sims& sims) {
  const AdaScaleOptions& options = plan.options;
  if (!keeps_blocks(options)) return {};
  return {options.checkpoint_dir, options.resume, fingerprint_of(plan, {sims.begin(), sims.end()})};
}

AdaScaleReport train_blocks(const TrainingPlan& plan, const Sims& sims, InputSource& source) {
  const auto start = Clock::now();
  const c10::Device device = sims.front()->program().device;
  Run run{plan,
          source,
          open_checkpoint(plan, sims),
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
    if (std::optional<SavedBlock> saved = finished(index))
      report.blocks.push_back(repeat(index, std::move(*saved)));
    else
      report.blocks.push_back(decide(prepare(index)));
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
  BlockJob job = job_of(index);
  job.start = run_fp_for_start_ranges(job.sim, plan.recipe, source, index, job.training_batches, job.weights);
  return job;
}

/// All but the ranges that the weights start from.
BlockJob Run::job_of(size_t index) const {
  const auto& [sim, block] = steps[index];
  return {.sim = sim,
          .block = block,
          .index = index,
          .source = source,
          .weights = weights_to_train(sim, block),
          .recipe = plan.recipe,
          .compute_type = plan.compute_type,
          .iterations = plan.iterations_over(source.batches()),
          .training_batches = plan.training_batches(source.batches()),
          .deterministic = plan.options.deterministic,
          .seed = derive_seed(static_cast<uint64_t>(plan.options.seed), index)};
}

/// Trains the block's weights and freezes the best ones. The next block reads what these give.
BlockReport Run::decide(const BlockJob& job) {
  const auto begin = Clock::now();
  if (job.weights.empty()) {
    source.run_quant(job.index, {});
    return {.name = job.block.name, .note = "nothing to train"};
  }
  const TunedBlock tuned = tune_block(job, plan.options.keep_better, show(job));
  SavedBlock decided{.encodings = tuned.kept().encodings,
                     .trained = tuned.keeps_trained && plan.recipe.trains(),
                     .ran_in_training = tuned.kept_ran_last(),
                     .report = report_block(job, tuned)};
  freeze(job.index, decided);
  if (!decided.ran_in_training) source.run_quant(job.index, {});
  decided.report.seconds = seconds_since(begin);
  checkpoint.write(job.index, decided);
  return std::move(decided.report);
}

/// The block as an interrupted run left it.
std::optional<SavedBlock> Run::finished(size_t index) {
  const auto& [sim, block] = steps[index];
  std::vector<ExpectedWeight> expected;
  for (const int32_t weight : weights_to_train(sim, block)) expected.push_back(expected_weight(sim, weight));
  return checkpoint.read(index, expected);
}

/// Both streams run through the block with the bits that they had when it was decided.
BlockReport Run::repeat(size_t index, SavedBlock saved) {
  source.run_fp(index, {});
  if (saved.ran_in_training) run_as_trained(job_of(index), saved.encodings);
  freeze(index, saved);
  if (!saved.ran_in_training) source.run_quant(index, {});
  return std::move(saved.report);
}

/// Freezes the codes, scales and offsets found; the parameters receive w_dq.
void Run::freeze(size_t index, const SavedBlock& decided) {
  const auto& [sim, block] = steps[index];
  const std::vector<int32_t> weights = weights_to_train(sim, block);
  SimEditor editor(sim);
  for (size_t i = 0; i < weights.size(); ++i) {
    editor.fold(weights[i], decided.encodings[i], decided.trained);
    // Not before there is something to keep: a run that failed earlier may be repeated.
    if (sim.training().empty())
      editor.set_training({{"recipe", plan.recipe.name},
                           {"iterations", std::to_string(plan.iterations_over(source.batches()))},
                           {"seed", std::to_string(plan.options.seed)}});
    if (i == 0) folded.push_back(block.name);
  }
}

/// An attempt with shorter steps is shown as a stage of its own.
OnIteration Run::show(const BlockJob& job) const {
  const std::string block = fmt::format("block {}/{} {}", job.index + 1, steps.size(), job.block.name);
  return [this, block, total = job.iterations](double step_length, int64_t step, double loss) {
    check_interrupt();
    if (!plan.options.progress) return;
    const std::string stage =
        step_length == 1 ? block : fmt::format("{}, {} of the step", block, step_length);
    plan.options.progress({stage, step, total, loss});
  };
}

}  // namespace
}  // namespace adascale
