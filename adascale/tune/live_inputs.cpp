#include "adascale/tune/live_inputs.h"

#include <ATen/ops/empty.h>

#include <unordered_map>

#include "adascale/core/error.h"
#include "adascale/core/kept_memory.h"
#include "adascale/core/passes.h"
#include "adascale/core/progress.h"
#include "adascale/core/spelling.h"
#include "adascale/graph/tensor_version.h"
#include "adascale/tune/run_progress.h"

namespace adascale {
namespace {

std::pair<const void*, int64_t> identity_of(const at::Tensor& tensor) {
  return {tensor.unsafeGetTensorImpl(), version_of(tensor)};
}

Inputs without_values(Inputs inputs) {
  for (c10::IValue& input : inputs)
    if (input.isTensor())
      input = at::empty(input.toTensor().sizes(), input.toTensor().options().device(at::kMeta));
  return inputs;
}

}  // namespace

/// They are kept, so that no other tensor takes their place in memory.
void LiveFlow::Last::add(const std::vector<c10::IValue>& more) {
  for (const c10::IValue& value : more) {
    if (value.isTensor())
      positions.try_emplace(identity_of(value.toTensor()), static_cast<int32_t>(values.size()));
    values.push_back(value);
  }
}

std::optional<LiveFlow::Link> LiveFlow::link_to_last(const Inputs& inputs) const {
  if (!last_ || !last_->is_done) return std::nullopt;
  Link link{last_->part, {}};
  for (const c10::IValue& input : inputs) {
    if (!input.isTensor()) {
      link.sources.push_back({kNone, input});
      continue;
    }
    const auto found = last_->positions.find(identity_of(input.toTensor()));
    if (found == last_->positions.end()) return std::nullopt;
    link.sources.push_back({found->second, {}});
  }
  return link;
}

void LiveFlow::enter(size_t part, const Inputs& inputs) {
  if (reached_.contains(part)) return;
  for (const c10::IValue& input : inputs) digest_.add_value(input);
  reached_[part] = {without_values(inputs), link_to_last(inputs)};
  last_ = Last{part};
  last_->add(inputs);
}

void LiveFlow::leave(size_t part, const Outputs& outputs) {
  if (!last_ || last_->part != part || last_->is_done) return;
  last_->add(outputs);
  last_->is_done = true;
}

LiveInputs::LiveInputs(const PartedModel& model, LiveModel live)
    : model_(model), live_(std::move(live)), flows_(live_.batches) {
  Pass pass("inputs of the blocks", static_cast<int64_t>(flows_.size()));
  for (size_t batch = 0; batch < flows_.size(); ++batch) {
    try {
      live_.look(batch, flows_[batch]);
    } catch (const Error& error) {  // boundary: says where
      throw Error(error.fault(), fmt::format("batch {}: {}", batch, error.what()));
    }
    flows_[batch].finish();
    KeptMemory::give_back();
    pass.step();
  }
}

std::vector<std::vector<Inputs>> LiveInputs::sizes() const {
  std::vector<std::vector<Inputs>> sizes(model_.parts.size());
  for (const LiveFlow& flow : flows_)
    for (const auto& [part, reached] : flow.reached()) sizes[part].push_back(reached.sizes);
  return sizes;
}

std::string LiveInputs::digest() const {
  Digest digest;
  for (const LiveFlow& flow : flows_) digest.add(flow.digest());
  return digest.hex();
}

namespace {

/// By the tensor that was found. Those that wait already are their own.
using Waiting = std::unordered_map<const at::TensorImpl*, at::Tensor>;

void note_waiting(const std::vector<c10::IValue>& values, Waiting& waiting) {
  for (const c10::IValue& value : values)
    if (value.isTensor()) waiting.emplace(value.toTensor().unsafeGetTensorImpl(), value.toTensor());
}

std::vector<c10::IValue> kept(std::vector<c10::IValue> values, Waiting& waiting, ActivationStore& store) {
  for (c10::IValue& value : values) {
    if (!value.isTensor()) continue;
    at::Tensor& own = waiting[value.toTensor().unsafeGetTensorImpl()];
    if (!own.defined()) own = store.keep(value.toTensor());
    value = own;
  }
  return values;
}

}  // namespace

/// Both streams may hold one tensor, a mask, and parts one after the other too.
LiveInputs::Pair LiveInputs::keep(const Pair& caught, size_t batch, ActivationStore& store) const {
  Waiting waiting;
  if (const auto before = inputs_.find(batch); before != inputs_.end()) {
    note_waiting(before->second.fp, waiting);
    note_waiting(before->second.quant, waiting);
    note_waiting(fp_outputs_.at(batch), waiting);
  }
  Inputs fp = kept(caught.fp, waiting, store);
  return {std::move(fp), kept(caught.quant, waiting, store)};
}

PartInputs LiveInputs::reach(size_t part, ActivationStore& store) {
  std::map<size_t, Pair> reached;
  Pass both(kBetweenBlocks, static_cast<int64_t>(flows_.size()));
  for (size_t batch = 0; batch < flows_.size(); ++batch, both.step()) {
    if (!flows_[batch].reached().contains(part)) continue;
    std::optional<Pair> pair = follow(part, batch);
    if (!pair) pair = run_to(part, batch);
    if (pair)
      reached.emplace(batch, keep(*pair, batch, store));
    else
      log_line(fmt::format("{}: batch {} does not reach it once quantized: left out", model_.parts[part].path,
                           batch));
    inputs_.erase(batch);
    fp_outputs_.erase(batch);
  }
  at_ = part;
  inputs_ = std::move(reached);
  fp_outputs_.clear();
  PartInputs inputs;
  Pass outputs(kLiveOutputs, static_cast<int64_t>(inputs_.size()));
  for (const auto& [batch, pair] : inputs_) {
    Waiting none;  // the module got copies of its inputs
    fp_outputs_[batch] = kept(run_float(part, batch, pair.fp), none, store);
    inputs.fp.push_back(pair.fp);
    inputs.quant.push_back(pair.quant);
    outputs.step();
  }
  return inputs;
}

/// Both streams from the part before; nothing where they come from elsewhere.
std::optional<LiveInputs::Pair> LiveInputs::follow(size_t part, size_t batch) const {
  const auto& link = flows_[batch].reached().at(part).link;
  const auto before = inputs_.find(batch);
  if (!link || link->before != at_ || before == inputs_.end()) return std::nullopt;
  const auto take = [&](const Inputs& inputs, const Outputs& outputs) {
    Inputs taken;
    for (const auto& [position, constant] : link->sources) {
      const auto count = static_cast<int32_t>(inputs.size());
      taken.push_back(position == kNone  ? constant
                      : position < count ? inputs[position]
                                         : outputs[position - count]);
    }
    return taken;
  };
  const auto& [fp, quant] = before->second;
  const Outputs quant_outputs = model_.parts[at_].sim.run(quant, SimMode::kWeightsOnly);
  return Pair{take(fp, fp_outputs_.at(batch)), take(quant, quant_outputs)};
}

std::optional<LiveInputs::Pair> LiveInputs::run_to(size_t part, size_t batch) const {
  std::optional<Inputs> fp = live_.run_to(/*quantized=*/false, part, batch);
  std::optional<Inputs> quant = live_.run_to(/*quantized=*/true, part, batch);
  if (!fp || !quant) return std::nullopt;
  return Pair{std::move(*fp), std::move(*quant)};
}

/// Checks the captured program, too: it may have fixed what the data decide.
Outputs LiveInputs::run_float(size_t part, size_t batch, const Inputs& inputs) const {
  Outputs outputs = live_.run_module(part, inputs);
  const auto& [sim, path] = model_.parts[part];
  const std::string difference = difference_to_live(sim, inputs, outputs);
  ADA_CHECK(difference.empty(),
            "{}: batch {}: captured alone it computes something else than live ({}): its way depends on the "
            "data; leave it out with {}",
            path, batch, difference, option("blocks"));
  return outputs;
}

}  // namespace adascale
