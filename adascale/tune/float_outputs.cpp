#include "adascale/tune/float_outputs.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace adascale {
namespace {

std::vector<NodeId> up_to(const std::vector<NodeId>& nodes, NodeId end) {
  return {nodes.begin(), std::upper_bound(nodes.begin(), nodes.end(), end)};
}

std::vector<NodeId> after(const std::vector<NodeId>& nodes, NodeId end) {
  return {std::upper_bound(nodes.begin(), nodes.end(), end), nodes.end()};
}

std::vector<ValueId> made_by(const std::vector<NodeId>& nodes, const Program& program,
                             const std::vector<ValueId>& values) {
  std::set<ValueId> all;
  for (const NodeId node : nodes)
    for (const ValueId value : program.nodes[node].writes()) all.insert(value);
  std::vector<ValueId> made;
  std::ranges::copy_if(values, std::back_inserter(made), [&](ValueId value) { return all.contains(value); });
  return made;
}

}  // namespace

FloatOutputs::FloatOutputs(const QuantizationSimModel& sim, const std::vector<NodeId>& nodes, NodeId end,
                           ValueId output, ComputeType type, ActivationStore store)
    : sim_(sim),
      output_(output),
      behind_(sim.program(), after(nodes, end), {output}),
      before_(sim.program(), up_to(nodes, end), made_by(up_to(nodes, end), sim.program(), behind_.feeds())),
      store_(std::move(store)) {
  hooks_.load_state = [this](ValueId value) { return sim_.load_state(value, SimMode::kFloat); };
  hooks_.compute_type = std::move(type);
}

std::vector<c10::IValue>& FloatOutputs::kept(size_t number) {
  if (kept_.size() <= number) kept_.resize(number + 1);
  return kept_[number];
}

void FloatOutputs::take(size_t number, const Environment& there) {
  const std::vector<ValueId>& values = before_.wanted();
  if (!std::ranges::all_of(values, [&](ValueId value) { return there.has(value); })) return;
  for (const ValueId value : values) kept(number).push_back(there.get(value));
}

at::Tensor FloatOutputs::of(size_t number, const Inputs& batch) {
  const at::NoGradGuard no_grad;
  Environment environment(sim_.program());
  feed_inputs(sim_.program(), batch, environment);
  std::vector<c10::IValue>& values = kept(number);
  if (values.empty()) {
    before_.run(environment, hooks_);
    for (const ValueId value : before_.wanted()) {
      const c10::IValue& made = environment.get(value);
      values.push_back(made.isTensor() ? c10::IValue(store_.keep(made.toTensor())) : made);
    }
  }
  for (size_t i = 0; i < values.size(); ++i)
    environment.set(before_.wanted()[i], values[i].isTensor()
                                             ? c10::IValue(values[i].toTensor().to(sim_.program().device))
                                             : values[i]);
  behind_.run(environment, hooks_);
  return environment.tensor(output_);
}

}  // namespace adascale
