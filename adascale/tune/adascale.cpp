#include "adascale/tune/adascale.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/progress.h"
#include "adascale/core/seed.h"
#include "adascale/device/flags.h"
#include "adascale/device/memory.h"
#include "adascale/device/threads.h"
#include "adascale/quant/group_kernels.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/checkpoint.h"
#include "adascale/tune/failure.h"
#include "adascale/tune/last_stage.h"
#include "adascale/tune/parts_walk.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/program_walk.h"
#include "adascale/tune/run_progress.h"
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

AdaScaleReport train_blocks(const TrainingPlan& plan, const Sims& sims, InputSource& source,
                            Checkpoint& checkpoint);
Checkpoint open_checkpoint(const TrainingPlan& plan, const Sims& sims);

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

namespace {

void tell_new_scales(const QuantizationSimModel& sim, std::vector<BlockReport>& blocks) {
  std::map<std::string, double> sqnr;
  for (const QuantizedWeight& weight : sim.weights())
    if (weight.encoding) sqnr[weight.layer.name] = weight.encoding->sqnr_db;
  for (BlockReport& block : blocks)
    for (LayerReport& layer : block.layers)
      if (const auto now = sqnr.find(layer.name); now != sqnr.end()) layer.sqnr_db = now->second;
}

}  // namespace

AdaScaleReport train(QuantizationSimModel& sim, const TrainingPlan& plan,
                     const std::vector<Inputs>& batches) {
  const auto start = Clock::now();
  const KeptMemory memory;
  ProgramWalk walk(sim, plan.parts.front().blocks, plan.team->share_of(batches),
                   ActivationStore(plan.options.activation_memory << 20, plan.memory.on_device),
                   plan.memory.largest_block, plan.compute_type);
  if (plan.has_last_stage()) walk.keep_last_outputs();
  Checkpoint checkpoint = open_checkpoint(plan, {&sim});
  AdaScaleReport report = train_blocks(plan, {&sim}, walk, checkpoint);
  if (plan.has_last_stage()) {
    report.last_stage = run_last_stage(sim, plan, batches, walk.float_stream(), checkpoint);
    if (report.last_stage->kept) tell_new_scales(sim, report.blocks);
  }
  if (!plan.no_last_stage.empty()) report.last_stage = LastStageReport{.note = plan.no_last_stage};
  report.seconds = seconds_since(start);
  return report;
}

AdaScaleReport train(const PartedModel& model, const TrainingPlan& plan, const CatchInputs& catch_inputs) {
  const KeptMemory memory;
  PartsWalk walk(model, plan, catch_inputs);
  Sims sims;
  for (const SimPart& part : model.parts) sims.push_back(&part.sim);
  Checkpoint checkpoint = open_checkpoint(plan, sims);
  AdaScaleReport report = train_blocks(plan, sims, walk, checkpoint);
  if (!plan.no_last_stage.empty()) report.last_stage = LastStageReport{.note = plan.no_last_stage};
  return report;
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
  Checkpoint& checkpoint;
  AdaScaleReport report;
  RunProgress progress;
  std::vector<Step> steps = {};
  bool told_exchange = false;
  std::vector<bool> trains = {};         ///< by step: whether it has weights to train
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
  void move_to_checkpoint(const BlockJob& job);
  int64_t blocks_to_train_after(size_t index) const;
  int64_t all_batches() const { return source.batches() * plan.team->size(); }
  RunProgress::Steps planned_steps() const;
};

/// Of a team, all processes must train the same; else their weights would part silently.
Checkpoint open_checkpoint(const TrainingPlan& plan, const Sims& sims) {
  const WatchPasses fingerprints(as_stages(plan.options.progress, /*passing=*/true));
  const AdaScaleOptions& options = plan.options;
  if (!keeps_blocks(options) && plan.team->size() == 1) return {};
  const Fingerprint fingerprint = fingerprint_of(plan, {sims.begin(), sims.end()}, WeightsIn::kFingerprint);
  Fingerprint::Fields facts = fingerprint.result;
  facts.insert(fingerprint.bits.begin(), fingerprint.bits.end());
  facts["checkpoint_dir"] = options.checkpoint_dir;
  facts["kernels of the device"] = group_kernels_are_on(sims.front()->program().device) ? "on" : "off";
  facts["resume"] = options.resume ? "true" : "false";
  plan.team->check_same(facts);
  if (!keeps_blocks(options)) return {};
  return {options.checkpoint_dir, options.resume, fingerprint, *plan.team};
}

AdaScaleReport train_blocks(const TrainingPlan& plan, const Sims& sims, InputSource& source,
                            Checkpoint& checkpoint) {
  const auto start = Clock::now();
  const c10::Device device = sims.front()->program().device;
  Run run{plan,
          source,
          checkpoint,
          {.recipe = plan.recipe.name,
           .device = device.str(),
           .precision = describe_precision(plan.compute_type, {sims.begin(), sims.end()}),
           .not_trained = plan.not_trained,
           .block_bytes = plan.memory.largest_block},
          RunProgress(plan.team->leads() ? plan.options.progress : ProgressSink())};
  for (const PartPlan& part : plan.parts)
    for (const Block& block : part.blocks) run.steps.push_back({*sims[part.part], block});
  note_threads();
  {
    const WatchPasses watch([&run](const PassEvent& pass) { run.progress.see(pass); });
    // For the FP streams too: what is fp32 in them is full fp32, whatever torch allows convolutions.
    const FlagScope scope(device, {.deterministic = plan.options.deterministic});
    run.train();
  }
  give_back_device_memory(device);
  run.report.seconds = seconds_since(start);
  return std::move(run.report);
}

void Run::train() {
  for (const Step& step : steps) trains.push_back(!weights_to_train(step.sim, step.block).empty());
  size_t index = 0;
  try {
    for (; index < steps.size(); ++index) visit(index);
  } catch (...) {  // boundary: says what a failure leaves behind
    rethrow_naming_folded(folded, steps[index].block.name, checkpoint.how_to_go_on(), plan.options);
  }
  // Until all have read the last block: whoever returns may remove the checkpoint.
  if (checkpoint.is_kept()) plan.team->wait();
}

void Run::visit(size_t index) {
  progress.begin(index, steps.size(), steps[index].block.name, blocks_to_train_after(index));
  source.reach(index);
  progress.expect(planned_steps());
  bool is_new = false;
  if (is_reached(index)) {
    std::optional<SavedBlock> saved = finished(index);
    is_new = !saved && trains[index];
    report.blocks.push_back(saved ? repeat(index, std::move(*saved)) : decide(prepare(index)));
  }
  source.leave(index);
  KeptMemory::give_back();
  progress.end(is_new);
}

/// Others take no time beside them.
int64_t Run::blocks_to_train_after(size_t index) const {
  return std::count(trains.begin() + static_cast<int64_t>(index) + 1, trains.end(), true);
}

/// Of a block, before one is finished.
RunProgress::Steps Run::planned_steps() const {
  const auto batches = static_cast<double>(source.batches());
  const double compared = static_cast<double>(plan.compared_batches(all_batches()).size()) /
                          static_cast<double>(plan.team->size());
  const bool searches = plan.recipe.start != StartRange::kScheme, learns = plan.recipe.trains();
  return {{kFloatOutputs, batches},
          {kQuantizedOutputs, batches + compared * (searches && learns ? 2 : 1)},
          {kTraining, learns ? static_cast<double>(plan.iterations_over(all_batches())) : 0}};
}

/// Quantized blocks before it may turn a model that decides by its data onto another path.
bool Run::is_reached(size_t index) {
  const int64_t batches = all_batches();
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
  job.start = run_fp_for_start_ranges(job);
  return job;
}

/// All but the ranges that the weights start from.
BlockJob Run::job_of(size_t index) const {
  const auto& [sim, block] = steps[index];
  return {.sim = sim,
          .block = block,
          .index = index,
          .source = source,
          .team = *plan.team,
          .weights = weights_to_train(sim, block),
          .recipe = plan.recipe,
          .compute_type = plan.compute_type,
          .iterations = plan.iterations_over(all_batches()),
          .accumulate = plan.options.accumulate / plan.team->size(),
          .training_batches = plan.training_batches(all_batches()) / plan.team->size(),
          .compared = plan.compared_batches(all_batches()),
          .deterministic = plan.options.deterministic,
          .seed = derive_seed(static_cast<uint64_t>(plan.options.seed), index)};
}

/// Trains the block's weights and freezes the best ones. The next block reads what these give.
BlockReport Run::decide(const BlockJob& job) {
  const auto begin = Clock::now();
  if (job.weights.empty()) {
    source.run_quant(job.index, {}, {});
    return {.name = job.block.name, .note = "nothing to train"};
  }
  const TunedBlock tuned = tune_block(job, plan.options.keep_better);
  if (tuned.exchanged > 0 && plan.team->leads() && !std::exchange(told_exchange, true))
    log_line(
        fmt::format("{} processes train together; {:.3f} MB of gradients are added over all in an iteration",
                    plan.team->size(), static_cast<double>(tuned.exchanged) / 1e6));
  SavedBlock decided{.encodings = tuned.kept().encodings,
                     .trained = tuned.keeps_trained && plan.recipe.trains(),
                     .ran_in_training = tuned.kept_ran_last(),
                     .report = report_block(job, tuned)};
  freeze(job.index, decided);
  if (!decided.ran_in_training) source.run_quant(job.index, {}, {});
  decided.report.seconds = seconds_since(begin);
  checkpoint.write(job.index, decided);
  if (checkpoint.is_kept() && job.sim.options().on_demand) move_to_checkpoint(job);
  return std::move(decided.report);
}

/// The codes leave memory: from now on they are read from the file that was just written.
void Run::move_to_checkpoint(const BlockJob& job) {
  std::vector<ExpectedWeight> expected;
  for (const int32_t weight : job.weights) expected.push_back(expected_weight(job.sim, weight));
  SavedBlock written = checkpoint.written(job.index, expected);
  SimEditor editor(steps[job.index].sim);
  for (size_t i = 0; i < job.weights.size(); ++i)
    editor.move_encoding(job.weights[i], std::move(written.encodings[i]));
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
  if (!saved.ran_in_training) source.run_quant(index, {}, {});
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
                           {"iterations", std::to_string(plan.iterations_over(all_batches()))},
                           {"seed", std::to_string(plan.options.seed)}});
    if (i == 0) folded.push_back(block.name);
  }
}

}  // namespace
}  // namespace adascale
