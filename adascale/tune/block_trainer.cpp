#include "adascale/tune/block_trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/where.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/tune/adam.h"

namespace adascale {
namespace {

AdaScaleQuantizer make_quantizer(const QuantizationSimModel& sim, int32_t index) {
  const QuantizedWeight& weight = sim.weights()[index];
  const LayerKind& kind = *weight.layer.kind;
  return AdaScaleQuantizer(sim.state(weight.layer.parameters.front()).detach(), weight.grid, weight.range,
                           kind.has_s4 ? kind.input_axis : -1);
}

std::vector<at::Tensor> gather(const std::vector<AdaScaleQuantizer>& quantizers,
                               std::vector<at::Tensor> (AdaScaleQuantizer::*learnables)() const) {
  std::vector<at::Tensor> all;
  for (const AdaScaleQuantizer& quantizer : quantizers)
    for (const at::Tensor& learnable : (quantizer.*learnables)()) all.push_back(learnable);
  return all;
}

}  // namespace

at::Tensor reconstruction_loss(const at::Tensor& output, const at::Tensor& target) {
  const at::Tensor squared = output.to(at::kFloat).sub(target.to(at::kFloat)).square();
  return squared.dim() < 2 ? squared.mean() : squared.sum(1).mean();
}

BlockTrainer::BlockTrainer(BlockJob job)
    : job_(std::move(job)), generator_(at::make_generator<at::CPUGeneratorImpl>(job_.seed)) {
  for (const int32_t weight : job_.weights) quantizers_.push_back(make_quantizer(job_.sim, weight));
}

void BlockTrainer::train(const std::function<void(int64_t, double)>& on_iteration) {
  Adam scales(gather(quantizers_, &AdaScaleQuantizer::scale_learnables), job_.recipe.scale_lr);
  Adam rounding(gather(quantizers_, &AdaScaleQuantizer::rounding_learnables), job_.recipe.rounding_lr);
  const at::AutoGradMode grad(true);
  for (int64_t iteration = 0; iteration < job_.iterations; ++iteration) {
    const int64_t batch = iteration % job_.training_batches;
    const at::Tensor error = loss(batch, mixed_inputs(batch));
    ADA_CHECK(
        error.requires_grad(),
        "{}: no gradient of its output reaches its weights; leave it out with blocks=", job_.block.name);
    error.backward();
    const double decay = cosine_decay(iteration, job_.iterations);
    scales.step(decay);
    rounding.step(decay);
    on_iteration(iteration + 1, error.item<double>());
  }
}

double BlockTrainer::measure(int64_t first, int64_t last) const {
  const at::NoGradGuard no_grad;
  double sum = 0;
  for (int64_t batch = first; batch < last; ++batch)
    sum += loss(batch, quantized_inputs(batch)).item<double>();
  return sum / static_cast<double>(last - first);
}

std::vector<Encoding> BlockTrainer::encode() const {
  const at::NoGradGuard no_grad;
  std::vector<Encoding> encodings;
  for (size_t i = 0; i < quantizers_.size(); ++i)
    encodings.push_back(quantizers_[i].encode(job_.sim.weights()[job_.weights[i]].layer.parameters.front()));
  return encodings;
}

at::Tensor BlockTrainer::loss(int64_t batch, const std::map<ValueId, c10::IValue>& inputs) const {
  Environment environment(job_.sim.program());
  for (const auto& [value, input] : inputs) environment.set(value, input);

  std::map<int32_t, at::Tensor> trained;  // a weight read twice is quantized once
  RunHooks hooks;
  hooks.load_state = [&](ValueId value) {
    const int32_t weight = job_.sim.weight_of(value);
    const auto position = std::find(job_.weights.begin(), job_.weights.end(), weight);
    if (position == job_.weights.end()) return job_.sim.load_state(value, SimMode::kWeightsOnly);
    at::Tensor& quantized = trained[weight];
    if (!quantized.defined()) quantized = quantizers_[position - job_.weights.begin()].quantized_weight();
    return quantized;
  };
  job_.plan.run(environment, hooks);

  at::Tensor total;
  for (const ValueId value : job_.block.activations_out) {
    const at::Tensor target = job_.source.fp(batch).tensor(value);
    const at::Tensor error = reconstruction_loss(environment.tensor(value), target);
    total = total.defined() ? total.add(error) : error;
  }
  ADA_ASSERT(total.defined(), "a block without outputs");
  return total;
}

std::map<ValueId, c10::IValue> BlockTrainer::quantized_inputs(int64_t batch) const {
  std::map<ValueId, c10::IValue> inputs;
  for (const ValueId value : job_.plan.feeds()) inputs[value] = job_.source.quant(batch).get(value);
  return inputs;
}

// AIMET mixes element by element: with `fp_input_share` probability the FP model's input, else the quantized
// one's.
std::map<ValueId, c10::IValue> BlockTrainer::mixed_inputs(int64_t batch) {
  std::map<ValueId, c10::IValue> inputs = quantized_inputs(batch);
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
