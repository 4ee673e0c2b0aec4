#include "adascale/tune/block_trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <set>

#include "adascale/core/error.h"
#include "adascale/graph/attention.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/loss.h"
#include "adascale/tune/precision.h"

namespace adascale {
namespace {

at::Tensor float_weight(const QuantizedWeight& weight, const QuantizationSimModel& sim) {
  return sim.state(weight.layer.parameters.front()).detach();
}

}  // namespace

BlockTrainer::BlockTrainer(BlockJob job)
    : job_(std::move(job)), generator_(at::make_generator<at::CPUGeneratorImpl>(job_.seed)) {
  for (size_t i = 0; i < job_.weights.size(); ++i) {
    const QuantizedWeight& weight = job_.sim.weights()[job_.weights[i]];
    quantizers_.emplace_back(float_weight(weight, job_.sim), weight.grid, job_.start[i],
                             weight.layer.kind->has_s4 ? weight.layer.axes.inputs.back() : -1);
    if (type_of(i) == at::kFloat) continue;
    for (const NodeId node : weight.layer.nodes) lowered_[node] = type_of(i);
  }
  if (lowered_.empty()) return;
  const std::set<NodeId> layers(job_.block.layers.begin(), job_.block.layers.end());
  for (const NodeId node : find_attention(job_.sim.program(), job_.block.nodes))
    if (!layers.contains(node)) lowered_[node] = job_.compute_type;
}

/// What the weight's layers compute in.
c10::ScalarType BlockTrainer::type_of(size_t position) const {
  const QuantizedWeight& weight = job_.sim.weights()[job_.weights[position]];
  return takes_bfloat16(job_.sim, weight) ? job_.compute_type : at::kFloat;
}

void BlockTrainer::train(const std::function<void(int64_t, double)>& on_iteration) {
  if (!job_.recipe.trains()) return;
  const StepRule rule = step_rule(job_.recipe, job_.iterations);
  std::vector<std::unique_ptr<LearnedWeight>> learned;
  for (size_t i = 0; i < quantizers_.size(); ++i)
    learned.push_back(make_learned_weight(quantizers_[i], rule, type_of(i)));
  const RunHooks hooks = hooks_with([&](size_t position) { return learned[position]->weight(); });
  const at::AutoGradMode grad(true);
  for (int64_t iteration = 0; iteration < job_.iterations; ++iteration) {
    const int64_t batch = iteration % job_.training_batches;
    Environment environment(job_.sim.program());
    for (const auto& [value, input] : mixed_inputs(batch)) environment.set(value, input);
    job_.source.plan(job_.index).run(environment, hooks);
    const at::Tensor error = loss(batch, environment);
    ADA_CHECK(
        error.requires_grad(),
        "{}: no gradient of its output reaches its weights; leave it out with blocks=", job_.block.name);
    error.backward();
    for (const auto& weight : learned) weight->step(cosine_decay(iteration, job_.iterations));
    on_iteration(iteration + 1, error.item<double>());
  }
}

std::vector<double> BlockTrainer::measure(const std::vector<at::Tensor>& weights) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> cast;
  for (size_t i = 0; i < weights.size(); ++i)
    cast.push_back(type_of(i) == at::kFloat ? weights[i] : weights[i].to(type_of(i)));
  job_.source.run_quant(job_.index, hooks_with([&](size_t i) { return cast[i]; }));
  std::vector<double> losses;
  for (int64_t batch = 0; batch < job_.source.batches(); ++batch)
    losses.push_back(loss(batch, job_.source.quant(batch)).item<double>());
  return losses;
}

std::vector<at::Tensor> BlockTrainer::quantized_weights() const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> weights;
  for (const AdaScaleQuantizer& quantizer : quantizers_) weights.push_back(quantizer.quantized_weight());
  return weights;
}

std::vector<Encoding> BlockTrainer::encode() const {
  const at::NoGradGuard no_grad;
  std::vector<Encoding> encodings;
  for (size_t i = 0; i < quantizers_.size(); ++i)
    encodings.push_back(quantizers_[i].encode(job_.sim.weights()[job_.weights[i]].layer.parameters.front()));
  return encodings;
}

RunHooks BlockTrainer::hooks_with(const WeightOf& weight_of) const {
  RunHooks hooks;
  hooks.load_state = [this, weight_of](ValueId value) {
    const auto found = std::find(job_.weights.begin(), job_.weights.end(), job_.sim.weight_of(value));
    if (found == job_.weights.end()) return job_.sim.load_state(value, SimMode::kWeightsOnly);
    return weight_of(found - job_.weights.begin());
  };
  if (lowered_.empty()) return hooks;
  hooks.compute_type = [this](NodeId node) {
    const auto lowered = lowered_.find(node);
    return lowered == lowered_.end() ? std::nullopt : std::optional(lowered->second);
  };
  return hooks;
}

at::Tensor BlockTrainer::loss(int64_t batch, const Environment& outputs) const {
  at::Tensor total;
  for (const ValueId value : job_.block.activations_out) {
    const at::Tensor error = output_loss(value, outputs.tensor(value), job_.source.fp(batch).tensor(value));
    total = total.defined() ? total.add(error) : error;
  }
  ADA_ASSERT(total.defined(), "a block without outputs");
  return total;
}

at::Tensor BlockTrainer::output_loss(ValueId output, const at::Tensor& got, const at::Tensor& target) const {
  if (job_.recipe.loss == LossKind::kSummed) return summed_loss(got, target);
  return per_token_loss(got, target, channel_dim_of(job_.sim.program(), job_.block, output));
}

BlockTrainer::Values BlockTrainer::quantized_inputs(int64_t batch) const {
  Values inputs;
  for (const ValueId value : job_.source.plan(job_.index).feeds())
    inputs[value] = job_.source.quant(batch).get(value);
  return inputs;
}

// AIMET mixes element by element: with `fp_input_share` probability the FP model's input, else the quantized
// one's.
BlockTrainer::Values BlockTrainer::mixed_inputs(int64_t batch) {
  Values inputs = quantized_inputs(batch);
  if (job_.recipe.fp_input_share == 0) return inputs;
  for (const ValueId value : job_.block.activations_in) {
    const at::Tensor quant = inputs.at(value).toTensor(), fp = job_.source.fp(batch).tensor(value);
    const at::Tensor chance =
        at::rand(quant.sizes(), generator_, at::TensorOptions(at::kFloat)).to(quant.device());
    inputs[value] = at::where(chance.lt(job_.recipe.fp_input_share), fp, quant);
  }
  return inputs;
}

}  // namespace adascale
