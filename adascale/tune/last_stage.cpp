#include "adascale/tune/last_stage.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <new>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/passes.h"
#include "adascale/core/progress.h"
#include "adascale/device/flags.h"
#include "adascale/io/digest.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/adam.h"
#include "adascale/tune/float_outputs.h"
#include "adascale/tune/last_stage_plan.h"
#include "adascale/tune/learned_scales.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/output_loss.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/run_progress.h"

namespace adascale {
namespace {

class LastStage {
 public:
  LastStage(QuantizationSimModel& sim, const TrainingPlan& plan, const std::vector<Inputs>& batches,
            const std::vector<Environment>& float_stream, Checkpoint& checkpoint)
      : sim_(sim),
        plan_(plan),
        batches_(batches),
        checkpoint_(checkpoint),
        output_(compared_output(sim.program())),
        chunks_(chunks_for_last_stage(sim, plan.parts.front().blocks, output_.value)),
        last_end_(ends_of_blocks(sim, plan.parts.front().blocks).back()),
        weights_(weights_to_rescale(sim, plan.parts.front().blocks)),
        scales_(sim, weights_),
        float_outputs_(sim, chunks_.nodes(), last_end_, output_.value, type_of_node(),
                       ActivationStore(plan.options.activation_memory << 20, plan.memory.on_device)),
        lowered_{.type = plan.compute_type} {
    for (size_t batch = 0; batch < float_stream.size(); ++batch)
      float_outputs_.take(batch, float_stream[batch]);
    lower_precision();
  }

  LastStageReport run() {
    const FlagScope scope(device(), training_flags(sim_.program(), chunks_.nodes(), plan_.compute_type,
                                                   plan_.options.deterministic));
    const auto begin = std::chrono::steady_clock::now();
    LastStageReport report;
    report.held_out_before = measure([this](ValueId value) { return state(value); });
    if (!std::isfinite(report.held_out_before)) {
      report.note = "the loss of the samples held out is not finite";
      return report;
    }
    train();
    report.iterations = plan_.last_stage_iterations;
    scales_.round_to_stored();
    report.held_out_after = measure([this](ValueId value) { return rescaled(value); });
    report.kept = report.held_out_after < report.held_out_before;
    if (report.kept) fold();
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

 private:
  using StateOf = std::function<at::Tensor(ValueId)>;

  c10::Device device() const { return sim_.program().device; }
  int64_t training_batches() const { return plan_.training_batches(static_cast<int64_t>(batches_.size())); }

  /// As in the blocks' training, and the products behind the last block in both models, so that what rounds their weights
  /// does not tell the models apart.
  void lower_precision() {
    for (const Block& block : plan_.parts.front().blocks) lowered_.add(sim_, weights_, block);
    if (lowered_.nodes.empty()) return;
    for (const NodeId node : products_of_fp32_weights(sim_))
      if (node > last_end_) lowered_.nodes.insert(node);
  }

  at::Tensor state(ValueId value) const { return sim_.load_state(value, SimMode::kWeightsOnly); }
  at::Tensor rescaled(ValueId value) {
    const at::Tensor weight =
        scales_.load(value, lowered_.weights.contains(value) ? lowered_.type : at::kFloat);
    return weight.defined() ? weight : state(value);
  }

  RunHooks hooks_with(const StateOf& state_of) const {
    RunHooks hooks;
    hooks.load_state = state_of;
    hooks.compute_type = type_of_node();
    return hooks;
  }

  FloatOutputs::ComputeType type_of_node() const {
    return [this](NodeId node) { return lowered_.type_of(node); };
  }

  Environment fed(size_t batch) const {
    Environment environment(sim_.program());
    feed_inputs(sim_.program(), batches_[batch], environment);
    return environment;
  }

  OutputLoss loss(size_t batch, const Environment& environment) {
    const FlagScope scope(device(), {.deterministic = plan_.options.deterministic});
    return output_loss(output_, batches_[batch], float_outputs_.of(batch, batches_[batch]),
                       environment.tensor(output_.value));
  }

  /// The mean over the samples held out.
  double measure(const StateOf& state_of) {
    const at::NoGradGuard no_grad;
    const size_t first = training_batches();
    Pass pass("held-out outputs", static_cast<int64_t>(batches_.size() - first));
    double sum = 0, samples = 0;
    for (size_t batch = first; batch < batches_.size(); ++batch) {
      Environment environment = fed(batch);
      chunks_.run(environment, hooks_with(state_of));
      const auto here = static_cast<double>(samples_of(batches_[batch]));
      sum += loss(batch, environment).loss * here;
      samples += here;
      KeptMemory::give_back_holes();
      pass.step();
    }
    return sum / samples;
  }

  void train() {
    Adam adam(scales_.changes(), plan_.recipe.last_stage_rate);
    RunHooks hooks = hooks_with([this](ValueId value) { return rescaled(value); });
    hooks.transform = [this](ValueId value, const at::Tensor& made) { return scales_.watch(value, made); };
    const int64_t accumulate = plan_.options.accumulate;
    const int64_t all = plan_.last_stage_iterations, tenth = (all + 9) / 10;
    SavedStage stage{.iteration = all, .start = digest_of_start(), .tensors = scales_.changes()};
    for (const at::Tensor& moment : adam.state()) stage.tensors.push_back(moment);
    go_on_from(stage);
    Pass pass(kLastStage, all, stage.iteration);
    for (int64_t iteration = stage.iteration; iteration < all; ++iteration) {
      double loss = 0;
      for (int64_t turn = iteration * accumulate; turn < (iteration + 1) * accumulate; ++turn)
        loss += add_gradients(turn % training_batches(), hooks) / static_cast<double>(accumulate);
      adam.step(cosine_decay(iteration, all));
      stage.iteration = iteration + 1;
      if (stage.iteration % tenth == 0) checkpoint_.write_stage(stage);
      pass.reach(iteration + 1, loss);
    }
  }

  /// The weights that the blocks' training left, and the schedule.
  std::string digest_of_start() const {
    Digest digest;
    digest.add(fmt::format("{} iterations at {}", plan_.last_stage_iterations, plan_.recipe.last_stage_rate));
    for (const auto& [weight, encoding] : scales_.encodings()) {
      digest.add(encoding.codes);
      digest.add(encoding.scale);
      if (encoding.minimum) digest.add(*encoding.minimum);
    }
    return digest.hex();
  }

  /// Makes the stage, as it would be at its end, what an interrupted run left of it, or its begin: in its own tensors.
  void go_on_from(SavedStage& stage) {
    const std::optional<SavedStage> saved = checkpoint_.read_stage(stage);
    stage.iteration = saved ? saved->iteration : 0;
    if (!saved) return;
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < stage.tensors.size(); ++i) stage.tensors[i].copy_(saved->tensors[i]);
    log_line(fmt::format("last stage: goes on behind {} iterations", stage.iteration));
  }

  double add_gradients(size_t batch, const RunHooks& hooks) {
    Environment environment = fed(batch);
    double found = 0;
    const auto gradient = [&](const Environment& now) {
      const OutputLoss here = loss(batch, now);
      found = here.loss;
      return here.gradient;
    };
    chunks_.differentiate(environment, hooks, gradient, [this] { scales_.collect(/*of_all=*/false); });
    scales_.collect(/*of_all=*/true);
    KeptMemory::give_back_holes();
    return found;
  }

  void fold() {
    SimEditor editor(sim_);
    std::map<int32_t, Encoding> encodings = scales_.encodings();
    for (auto& [weight, encoding] : encodings)
      encoding.sqnr_db = sqnr_db(editor.source_weight(weight).cpu(), dequantize(encoding));
    for (auto& [weight, encoding] : encodings) editor.fold(weight, std::move(encoding), /*trained=*/true);
  }

  QuantizationSimModel& sim_;
  const TrainingPlan& plan_;
  const std::vector<Inputs>& batches_;
  Checkpoint& checkpoint_;
  ComparedOutput output_;
  Chunks chunks_;
  NodeId last_end_;               // of the blocks
  std::vector<int32_t> weights_;  // whose scales learn
  LearnedScales scales_;
  FloatOutputs float_outputs_;
  Lowered lowered_;
};

}  // namespace

LastStageReport run_last_stage(QuantizationSimModel& sim, const TrainingPlan& plan,
                               const std::vector<Inputs>& batches,
                               const std::vector<Environment>& float_stream, Checkpoint& checkpoint) {
  const WatchPasses watch(as_stages(plan.options.progress));
  const auto failed = [](const std::string& reason) {
    log_line(fmt::format("last stage: {}; the blocks' scales stay", reason));
    return LastStageReport{.note = reason};
  };
  try {
    return LastStage(sim, plan, batches, float_stream, checkpoint).run();
  } catch (const Error& error) {  // boundary: the blocks' work stays
    return failed(error.what());
  } catch (const c10::Error& error) {  // boundary: likewise, libtorch's pages in one line
    return failed(first_line(error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {  // boundary: likewise
    return failed("the host is out of memory");
  }
}

}  // namespace adascale
