#include "adascale/tune/block_trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/quant/schemes.h"
#include "adascale/tune/input_power.h"
#include "adascale/tune/learned_weight.h"
#include "adascale/tune/loss.h"

namespace adascale {
namespace {

at::Tensor float_weight(const QuantizedWeight& weight, const QuantizationSimModel& sim) {
  return sim.state(weight.layer.parameters.front()).detach();
}

std::vector<Range> start_ranges(const BlockJob& job) {
  std::vector<Range> ranges;
  if (job.recipe.start == StartRange::kScheme) {
    for (const int32_t index : job.weights) ranges.push_back(job.sim.weights()[index].range);
    return ranges;
  }
  const auto importance = input_power(job.sim, job.plan, job.source, job.weights, job.training_batches);
  for (size_t i = 0; i < job.weights.size(); ++i) {
    const QuantizedWeight& weight = job.sim.weights()[job.weights[i]];
    ranges.push_back(weighted_sqnr_range(float_weight(weight, job.sim), weight.grid, importance[i]));
  }
  return ranges;
}

}  // namespace

BlockTrainer::BlockTrainer(BlockJob job)
    : job_(std::move(job)), generator_(at::make_generator<at::CPUGeneratorImpl>(job_.seed)) {
  const std::vector<Range> ranges = start_ranges(job_);
  for (size_t i = 0; i < job_.weights.size(); ++i) {
    const QuantizedWeight& weight = job_.sim.weights()[job_.weights[i]];
    const LayerKind& kind = *weight.layer.kind;
    quantizers_.emplace_back(float_weight(weight, job_.sim), weight.grid, ranges[i],
                             kind.has_s4 ? kind.input_axis : -1);
  }
}

void BlockTrainer::train(const std::function<void(int64_t, double)>& on_iteration) {
  if (!job_.recipe.trains()) return;
  const StepRule rule = step_rule(job_.recipe, job_.iterations);
  std::vector<std::unique_ptr<LearnedWeight>> learned;
  for (size_t i = 0; i < quantizers_.size(); ++i)
    learned.push_back(make_learned_weight(quantizers_[i], rule));
  const auto weight_of = [&](size_t position) { return learned[position]->weight(); };
  const at::AutoGradMode grad(true);
  for (int64_t iteration = 0; iteration < job_.iterations; ++iteration) {
    const int64_t batch = iteration % job_.training_batches;
    const at::Tensor error = loss(batch, mixed_inputs(batch), weight_of);
    ADA_CHECK(
        error.requires_grad(),
        "{}: no gradient of its output reaches its weights; leave it out with blocks=", job_.block.name);
    error.backward();
    for (const auto& weight : learned) weight->step(cosine_decay(iteration, job_.iterations));
    on_iteration(iteration + 1, error.item<double>());
  }
}

double BlockTrainer::measure(const std::vector<at::Tensor>& weights, int64_t first, int64_t last) const {
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (int64_t batch = first; batch < last; ++batch)
    sum += loss(batch, quantized_inputs(batch), [&](size_t i) { return weights[i]; }).item<double>();
  return sum / static_cast<double>(last - first);
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

at::Tensor BlockTrainer::loss(int64_t batch, const Values& inputs, const WeightOf& weight_of) const {
  Environment environment(job_.sim.program());
  for (const auto& [value, input] : inputs) environment.set(value, input);

  std::vector<at::Tensor> weights(job_.weights.size());  // one that is read twice is quantized once
  RunHooks hooks;
  hooks.load_state = [&](ValueId value) {
    const auto found = std::find(job_.weights.begin(), job_.weights.end(), job_.sim.weight_of(value));
    if (found == job_.weights.end()) return job_.sim.load_state(value, SimMode::kWeightsOnly);
    const size_t position = found - job_.weights.begin();
    if (!weights[position].defined()) weights[position] = weight_of(position);
    return weights[position];
  };
  job_.plan.run(environment, hooks);

  at::Tensor total;
  for (const ValueId value : job_.block.activations_out) {
    const at::Tensor error =
        output_loss(value, environment.tensor(value), job_.source.fp(batch).tensor(value));
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
  for (const ValueId value : job_.plan.feeds()) inputs[value] = job_.source.quant(batch).get(value);
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
