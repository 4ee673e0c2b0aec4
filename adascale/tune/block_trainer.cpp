#include "adascale/tune/block_trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/passes.h"
#include "adascale/core/seed.h"
#include "adascale/core/spelling.h"
#include "adascale/device/copy_ahead.h"
#include "adascale/device/traits.h"
#include "adascale/sim/layer_kind.h"
#include "adascale/tune/loss.h"
#include "adascale/tune/noise.h"
#include "adascale/tune/run_progress.h"

namespace adascale {
namespace {

constexpr int64_t kIterationsPerLook = 20;  // how often the loss is read on a device that runs ahead

at::Tensor float_weight(const QuantizedWeight& weight, const QuantizationSimModel& sim) {
  return sim.state(weight.layer.parameters.front()).detach().to(sim.program().device);
}

std::vector<double> as_doubles(const std::vector<at::Tensor>& numbers) {
  if (numbers.empty()) return {};  // none of a process's batches is compared
  const at::Tensor all = at::stack(numbers).to(at::kCPU, at::kDouble);
  const auto* first = all.const_data_ptr<double>();
  return {first, first + all.numel()};
}

}  // namespace

BlockTrainer::BlockTrainer(BlockJob job) : job_(std::move(job)), lowered_{.type = job_.compute_type} {
  for (size_t i = 0; i < job_.weights.size(); ++i) {
    const QuantizedWeight& weight = job_.sim.weights()[job_.weights[i]];
    quantizers_.emplace_back(float_weight(weight, job_.sim), weight.grid, job_.start[i],
                             weight.layer.kind->has_s4 ? weight.layer.axes.inputs.back() : -1);
  }
  lowered_.add(job_.sim, job_.weights, job_.block);
}

/// The compute dtype of the weight's layers.
c10::ScalarType BlockTrainer::type_of(size_t position) const {
  const QuantizedWeight& weight = job_.sim.weights()[job_.weights[position]];
  return takes_bfloat16(job_.sim, weight) ? job_.compute_type : at::kFloat;
}

Flags BlockTrainer::flags() const {
  return training_flags(job_.sim.program(), job_.block.nodes, job_.compute_type, job_.deterministic);
}

LossCurve BlockTrainer::train(const std::string& name) {
  LossCurve curve;
  if (!job_.recipe.trains()) return curve;
  const FlagScope scope(device(), flags());
  const StepRule rule = step_rule(job_.recipe, job_.iterations);
  std::vector<std::unique_ptr<LearnedWeight>> learned;
  for (size_t i = 0; i < quantizers_.size(); ++i)
    learned.push_back(make_learned_weight(quantizers_[i], rule, type_of(i)));
  const RunHooks hooks = hooks_with([&](size_t position) { return learned[position]->weight(); });
  const at::AutoGradMode grad(true);
  const int64_t looks = traits_of(device()).runs_ahead ? kIterationsPerLook : 1;
  CopyAhead ahead(device(), [&](int64_t batch) { return waiting(batch, mixes()); });
  Pass pass(name, job_.iterations);
  for (int64_t iteration = 0; iteration < job_.iterations; ++iteration) {
    at::Tensor error;
    for (int64_t turn = iteration * job_.accumulate; turn < (iteration + 1) * job_.accumulate; ++turn) {
      const int64_t batch = turn % job_.training_batches;
      const at::Tensor here = run_backward(turn, hooks, sample_from(batch, ahead.get(batch)));
      error = error.defined() ? error.add(here) : here;
      if (turn + 1 < (iteration + 1) * job_.accumulate) ahead.start((turn + 1) % job_.training_batches);
    }
    share_gradients(learned);
    for (const auto& weight : learned) weight->step(cosine_decay(iteration, job_.iterations));
    const int64_t next = iteration + 1;
    if (next < job_.iterations) ahead.start(next * job_.accumulate % job_.training_batches);
    if (next % looks != 0 && next != job_.iterations) continue;
    const double loss =
        error.item<double>() * static_cast<double>(job_.team.size());  // of this process's batches
    pass.reach(next, loss);
    curve.push_back({next, loss});
  }
  return thinned(curve);
}

void BlockTrainer::share_gradients(const std::vector<std::unique_ptr<LearnedWeight>>& learned) {
  if (job_.team.size() == 1) return;
  std::vector<at::Tensor> leaves, gradients;
  for (const auto& weight : learned)
    for (const at::Tensor& leaf : weight->leaves()) leaves.push_back(leaf);
  // Experts that no token of this process reached have none here, but may have some in another process.
  const at::Tensor reached = at::ones({static_cast<int64_t>(leaves.size())}, at::TensorOptions(device()));
  for (size_t i = 0; i < leaves.size(); ++i) {
    const at::Tensor& own = leaves[i].grad();
    if (!own.defined()) reached[static_cast<int64_t>(i)].zero_();
    gradients.push_back(own.defined() ? own.contiguous() : at::zeros_like(leaves[i].detach()));
  }
  std::vector<at::Tensor> shared = gradients;
  shared.push_back(reached);
  job_.team.add(shared);
  exchanged_ = 0;
  for (const at::Tensor& tensor : shared) exchanged_ += static_cast<int64_t>(tensor.nbytes());
  for (size_t i = 0; i < leaves.size(); ++i)
    if (leaves[i].grad().defined() || reached[static_cast<int64_t>(i)].item<float>() > 0)
      leaves[i].mutable_grad() = gradients[i];
}

at::Tensor BlockTrainer::run_backward(int64_t turn, const RunHooks& hooks, const Sample& sample) const {
  Environment environment(job_.sim.program());
  const int64_t batch = turn % job_.training_batches;
  feed(sample, batch, environment);
  if (mixes()) mix(sample, turn, environment);
  job_.source.interpreter(job_.index).run(environment, hooks);
  at::Tensor error = loss(batch, environment, sample.targets);
  ADA_CHECK(error.requires_grad(), "{}: no gradient of its output reaches its weights; leave it out with {}",
            job_.block.name, option("blocks"));
  if (const int64_t batches = job_.accumulate * job_.team.size(); batches > 1)
    error = error.mul(1.0 / static_cast<double>(batches));
  error.backward();
  return error.detach();
}

std::vector<double> BlockTrainer::losses_of(const std::vector<at::Tensor>& weights) {
  const at::NoGradGuard no_grad;
  const FlagScope scope(device(), flags());
  const RunHooks hooks = hooks_with(weights);
  CopyAhead ahead(device(), [&](int64_t batch) { return waiting(batch, /*mixing=*/false); });
  std::vector<size_t> places;  // of this process's batches
  for (size_t place = 0; place < job_.compared.size(); ++place)
    if (job_.compared[place] % job_.team.size() == job_.team.rank()) places.push_back(place);
  std::vector<at::Tensor> losses;
  Pass pass(kQuantizedOutputs, static_cast<int64_t>(places.size()));
  for (size_t i = 0; i < places.size(); ++i) {
    const int64_t batch = job_.compared[places[i]] / job_.team.size();
    const Sample sample = sample_from(batch, ahead.get(batch));
    Environment environment(job_.sim.program());
    feed(sample, batch, environment);
    job_.source.interpreter(job_.index).run(environment, hooks);
    losses.push_back(loss(batch, environment, sample.targets));
    if (i + 1 < places.size()) ahead.start(job_.compared[places[i + 1]] / job_.team.size());
    KeptMemory::give_back_holes();
    pass.step();
  }
  const std::vector<double> own = as_doubles(losses);
  std::vector<double> all(job_.compared.size());
  for (size_t i = 0; i < places.size(); ++i) all[places[i]] = own[i];
  job_.team.add(all);
  return all;
}

std::vector<double> BlockTrainer::run_stream(const std::vector<at::Tensor>& weights) {
  const at::NoGradGuard no_grad;
  const FlagScope scope(device(), flags());
  CopyAhead ahead(
      device(), [&](int64_t batch) { return tensors_of(job_.block.activations_out, job_.source.fp(batch)); });
  std::vector<at::Tensor> losses;
  job_.source.run_quant(job_.index, hooks_with(weights), [&](int64_t batch, const Environment& environment) {
    losses.push_back(loss(batch, environment, targets(batch, ahead.get(batch))));
    if (batch + 1 < job_.source.batches()) ahead.start(batch + 1);
  });
  return job_.team.join(as_doubles(losses));
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

/// In the dtypes that the weights' layers compute in.
RunHooks BlockTrainer::hooks_with(const std::vector<at::Tensor>& weights) const {
  std::vector<at::Tensor> cast;
  for (size_t i = 0; i < weights.size(); ++i)
    cast.push_back(type_of(i) == at::kFloat ? weights[i] : weights[i].to(type_of(i)));
  return hooks_with([cast = std::move(cast)](size_t position) { return cast[position]; });
}

RunHooks BlockTrainer::hooks_with(const WeightOf& weight_of) const {
  RunHooks hooks;
  hooks.load_state = [this, weight_of](ValueId value) {
    const auto found = std::find(job_.weights.begin(), job_.weights.end(), job_.sim.weight_of(value));
    if (found == job_.weights.end()) return job_.source.quant_state(value);
    return weight_of(found - job_.weights.begin());
  };
  hooks.compute_type = [this](NodeId node) {
    return lowered_.lookups.contains(node) ? std::optional(lowered_.type) : lowered_.type_of(node);
  };
  return hooks;
}

at::Tensor BlockTrainer::loss(int64_t batch, const Environment& outputs,
                              const std::vector<at::Tensor>& targets) const {
  at::Tensor total;
  for (size_t i = 0; i < targets.size(); ++i) {
    const ValueId value = job_.block.activations_out[i];
    const at::Tensor error = output_loss(batch, value, outputs.tensor(value), targets[i]);
    total = total.defined() ? total.add(error) : error;
  }
  ADA_ASSERT(total.defined(), "a block without outputs");
  return total;
}

/// On the device. Where they do not wait they are computed as the FP stream did.
std::vector<at::Tensor> BlockTrainer::targets(int64_t batch, std::vector<at::Tensor> waiting) const {
  const auto waits = [](const at::Tensor& target) { return target.defined(); };
  if (std::all_of(waiting.begin(), waiting.end(), waits)) return waiting;
  const FlagScope scope(device(), {.deterministic = job_.deterministic});
  return job_.source.fp_outputs(job_.index, batch);
}

at::Tensor BlockTrainer::output_loss(int64_t batch, ValueId output, const at::Tensor& got,
                                     const at::Tensor& target) const {
  if (job_.recipe.loss == LossKind::kSummed) return summed_loss(got, target);
  const int64_t channel_dim = channel_dim_of(job_.sim.program(), job_.block, output);
  at::Tensor& factors = factors_[{batch, output}];
  if (!factors.defined()) factors = token_factors(target, channel_dim, job_.source.mask(batch));
  return per_token_loss(got, target, channel_dim, factors);
}

/// In the order in which sample_from takes them apart.
std::vector<at::Tensor> BlockTrainer::waiting(int64_t batch, bool mixing) const {
  const Environment &fp = job_.source.fp(batch), &quant = job_.source.quant(batch);
  std::vector<at::Tensor> tensors = tensors_of(job_.source.interpreter(job_.index).feeds(), quant);
  const auto append = [&](const std::vector<at::Tensor>& more) {
    tensors.insert(tensors.end(), more.begin(), more.end());
  };
  append(tensors_of(job_.block.activations_out, fp));
  if (mixing) append(tensors_of(job_.block.activations_in, fp));
  return tensors;
}

BlockTrainer::Sample BlockTrainer::sample_from(int64_t batch, const std::vector<at::Tensor>& tensors) const {
  Sample sample;
  auto next = tensors.begin();
  for (const ValueId value : job_.source.interpreter(job_.index).feeds())
    sample.quant_inputs[value] = *next++;
  const auto targets_end = next + static_cast<int64_t>(job_.block.activations_out.size());
  sample.targets = targets(batch, {next, targets_end});
  next = targets_end;
  if (next == tensors.end()) return sample;  // nothing to mix
  for (const ValueId value : job_.block.activations_in) sample.fp_inputs[value] = *next++;
  return sample;
}

/// The number that the turn would have if this process took all of them.
uint64_t BlockTrainer::number_over_all(int64_t turn) const {
  return static_cast<uint64_t>(turn * job_.team.size() + job_.team.rank());
}

void BlockTrainer::feed(const Sample& sample, int64_t batch, Environment& environment) const {
  for (const auto& [value, tensor] : sample.quant_inputs)
    environment.set(value, tensor.defined() ? tensor : job_.source.quant(batch).get(value));
}

void BlockTrainer::mix(const Sample& sample, int64_t turn, Environment& environment) const {
  uint64_t place = number_over_all(turn) * sample.fp_inputs.size();
  for (const ValueId value : job_.block.activations_in)
    environment.set(value, mixed(sample.fp_inputs.at(value), environment.tensor(value), place++));
}

// AIMET mixes per element: the FP model's input with probability `fp_input_share`,
// else the quantized one's.
at::Tensor BlockTrainer::mixed(const at::Tensor& fp, const at::Tensor& quant, uint64_t place) const {
  const at::Tensor noise = uniform_noise(quant.sizes(), derive_seed(job_.seed, place), quant.device());
  return at::where(noise.lt(job_.recipe.fp_input_share), fp, quant);
}

}  // namespace adascale
