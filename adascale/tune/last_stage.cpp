#include "adascale/tune/last_stage.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "adascale/core/kept_memory.h"
#include "adascale/core/passes.h"
#include "adascale/device/flags.h"
#include "adascale/quant/forms/form.h"
#include "adascale/sim/sim_editor.h"
#include "adascale/tune/adam.h"
#include "adascale/tune/chunks.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/output_loss.h"
#include "adascale/tune/precision.h"
#include "adascale/tune/run_progress.h"
#include "adascale/tune/trained_layers.h"

namespace adascale {
namespace {

constexpr int64_t kFewestRows = 16;  // with fewer, an eighth of them says nothing of others
constexpr int64_t kHeldOutPart = 8;

int64_t rows_of(const Inputs& batch) {
  for (const c10::IValue& input : batch)
    if (input.isTensor() && input.toTensor().dim() > 0) return input.toTensor().size(0);
  return 1;
}

int64_t rows_of(const std::vector<Inputs>& batches) {
  int64_t rows = 0;
  for (const Inputs& batch : batches) rows += rows_of(batch);
  return rows;
}

/// Its scales are floats of their own, and AdaScale trains it.
bool is_rescaled(const QuantizationSimModel& sim, const QuantizedWeight& weight,
                 const std::vector<Block>& blocks) {
  return weight.grid.form->has_free_scales() && reason_not_trained(sim, weight, blocks).empty();
}

/// A weight whose scales learn.
struct Rescaled {
  int32_t weight;
  Encoding encoding;  ///< on the device; the scales that the stage starts from
  at::Tensor theta;   ///< shape of the scales, fp32

  Encoding scaled() const {
    Encoding now = encoding;
    now.scale = encoding.scale.mul(theta.exp());
    return now;
  }
  /// As files hold it.
  Encoding stored() const {
    const at::NoGradGuard no_grad;
    Encoding now = on(scaled(), at::kCPU);
    now.scale = as_kept(as_stored(now.scale, now.grid), now.grid);
    return now;
  }
};

class LastStage {
 public:
  LastStage(QuantizationSimModel& sim, const TrainingPlan& plan, const std::vector<Inputs>& batches)
      : sim_(sim), plan_(plan), batches_(batches), output_(compared_output(sim.program())) {
    for (int32_t index = 0; index < static_cast<int32_t>(sim.weights().size()); ++index) add(index);
  }

  LastStageReport run() {
    LastStageReport report;
    const auto begin = std::chrono::steady_clock::now();
    const Chunks chunks(sim_.program(), ends_of_blocks(), learned_values(), output_.value);
    if (!chunks.obstacle().empty()) {
      report.note = chunks.obstacle();
      return report;
    }
    report.held_out_before = measure(chunks, [this](ValueId value) { return state(value); });
    train(chunks);
    report.iterations = plan_.last_stage_iterations;
    for (Rescaled& one : rescaled_) one.encoding = on(one.stored(), device());
    for (Rescaled& one : rescaled_) one.theta = at::zeros_like(one.theta);
    report.held_out_after = measure(chunks, [this](ValueId value) { return rescaled(value); });
    report.kept = report.held_out_after < report.held_out_before;
    if (report.kept) fold();
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return report;
  }

 private:
  using StateOf = std::function<at::Tensor(ValueId)>;

  c10::Device device() const { return sim_.program().device; }
  int64_t training_batches() const { return plan_.training_batches(static_cast<int64_t>(batches_.size())); }

  void add(int32_t index) {
    const QuantizedWeight& weight = sim_.weights()[index];
    if (!is_rescaled(sim_, weight, plan_.parts.front().blocks)) return;
    for (const ValueId value : weight.layer.weights) position_of_[value] = rescaled_.size();
    const Encoding encoding = on(*weight.encoding, device());
    rescaled_.push_back({index, encoding, at::zeros_like(encoding.scale).requires_grad_()});
    if (plan_.compute_type == at::kFloat || !takes_bfloat16(sim_, weight)) return;
    lowered_.insert(weight.layer.nodes.begin(), weight.layer.nodes.end());
  }

  std::vector<NodeId> ends_of_blocks() const {
    std::vector<NodeId> ends;
    for (const Block& block : plan_.parts.front().blocks) ends.push_back(block.nodes.back());
    std::sort(ends.begin(), ends.end());
    return ends;
  }

  std::set<ValueId> learned_values() const {
    std::set<ValueId> values;
    for (const auto& [value, position] : position_of_) values.insert(value);
    return values;
  }

  at::Tensor float_state(ValueId value) const { return sim_.load_state(value, SimMode::kFloat); }
  at::Tensor state(ValueId value) const { return sim_.load_state(value, SimMode::kWeightsOnly); }
  at::Tensor rescaled(ValueId value) const {
    const auto found = position_of_.find(value);
    return found == position_of_.end() ? state(value) : dequantize(rescaled_[found->second].scaled());
  }

  RunHooks hooks_with(const StateOf& state_of) const {
    RunHooks hooks;
    hooks.load_state = state_of;
    if (!lowered_.empty())
      hooks.compute_type = [this](NodeId node) {
        return lowered_.contains(node) ? std::optional(plan_.compute_type) : std::nullopt;
      };
    return hooks;
  }

  Environment fed(size_t batch) const {
    Environment environment(sim_.program());
    feed_inputs(sim_.program(), batches_[batch], environment);
    return environment;
  }

  at::Tensor float_output(const Chunks& chunks, size_t batch) const {
    Environment environment = fed(batch);
    RunHooks hooks;
    hooks.load_state = [this](ValueId value) { return float_state(value); };
    chunks.run(environment, hooks);
    return environment.tensor(output_.value);
  }

  OutputLoss loss(const Chunks& chunks, size_t batch, const Environment& environment) const {
    return output_loss(output_, batches_[batch], float_output(chunks, batch),
                       environment.tensor(output_.value));
  }

  /// The mean over the batches held out.
  double measure(const Chunks& chunks, const StateOf& state_of) const {
    const at::NoGradGuard no_grad;
    const size_t first = training_batches();
    Pass pass("held-out outputs", static_cast<int64_t>(batches_.size() - first));
    double sum = 0;
    for (size_t batch = first; batch < batches_.size(); ++batch) {
      Environment environment = fed(batch);
      chunks.run(environment, hooks_with(state_of));
      sum += loss(chunks, batch, environment).loss;
      KeptMemory::give_back_holes();
      pass.step();
    }
    return sum / static_cast<double>(batches_.size() - first);
  }

  void train(const Chunks& chunks) {
    std::vector<at::Tensor> thetas;
    for (const Rescaled& one : rescaled_) thetas.push_back(one.theta);
    Adam adam(thetas, plan_.recipe.last_stage_rate);
    const RunHooks hooks = hooks_with([this](ValueId value) { return rescaled(value); });
    Pass pass(kLastStage, plan_.last_stage_iterations);
    for (int64_t iteration = 0; iteration < plan_.last_stage_iterations; ++iteration) {
      const size_t batch = iteration % training_batches();
      Environment environment = fed(batch);
      chunks.run(environment, hooks);
      const OutputLoss here = loss(chunks, batch, environment);
      chunks.backward(environment, hooks, here.gradient);
      adam.step(cosine_decay(iteration, plan_.last_stage_iterations));
      KeptMemory::give_back_holes();
      pass.reach(iteration + 1, here.loss);
    }
  }

  void fold() {
    SimEditor editor(sim_);
    for (const Rescaled& one : rescaled_) {
      Encoding encoding = *sim_.weights()[one.weight].encoding;  // its codes stay where they are
      encoding.scale = on(one.encoding, at::kCPU).scale;
      encoding.sqnr_db = sqnr_db(editor.source_weight(one.weight).cpu(), dequantize(encoding));
      editor.fold(one.weight, std::move(encoding), /*trained=*/true);
    }
  }

  QuantizationSimModel& sim_;
  const TrainingPlan& plan_;
  const std::vector<Inputs>& batches_;
  ComparedOutput output_;
  std::vector<Rescaled> rescaled_;
  std::map<ValueId, size_t> position_of_;  // in rescaled_, by the parameter's value
  std::set<NodeId> lowered_;               // computed in the plan's dtype
};

}  // namespace

std::string why_no_last_stage(const TrainingPlan& plan, const QuantizationSimModel& sim,
                              const std::vector<Inputs>& batches) {
  if (plan.recipe.last_stage_rate == 0) return "the recipe has none";
  if (plan.parts.size() != 1 || sim.options().is_part)
    return "the model is trained block by block, without a program of the whole";
  if (plan.team->size() > 1) return "it is trained by one process";
  if (sim.options().in_place) return "weights are folded in place, so that the full-precision model is gone";
  if (compared_output(sim.program()).value == kNone) return "the model has no output of floats";
  if (const int64_t rows = rows_of(batches); rows < kFewestRows)
    return fmt::format("{} samples are too few to hold some out; it takes {}", rows, kFewestRows);
  if (plan.options.held_out_batches == 0 && batches.size() < 2)
    return "one batch is all there is; give smaller ones";
  const auto& weights = sim.weights();
  const auto learns = [&](const QuantizedWeight& weight) {
    return is_rescaled(sim, weight, plan.parts.front().blocks);
  };
  if (std::none_of(weights.begin(), weights.end(), learns))
    return "no weight that is trained has a grid whose scales are floats of their own";
  return "";
}

int64_t held_out_for_last_stage(const std::vector<Inputs>& batches) {
  return std::max<int64_t>(static_cast<int64_t>(batches.size()) / kHeldOutPart, 1);
}

LastStageReport run_last_stage(QuantizationSimModel& sim, const TrainingPlan& plan,
                               const std::vector<Inputs>& batches) {
  const WatchPasses watch(as_stages(plan.options.progress));
  const FlagScope scope(sim.program().device, {.deterministic = plan.options.deterministic});
  return LastStage(sim, plan, batches).run();
}

}  // namespace adascale
