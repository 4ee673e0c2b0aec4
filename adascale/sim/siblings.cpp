#include "adascale/sim/siblings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "adascale/quant/forms/form.h"
#include "adascale/sim/number_flow.h"

namespace adascale {
namespace {

/// The values that a layer multiplies by its weight, before views and casts.
std::vector<ValueId> values_read(const Program& program, const NumberFlow& flow, const Layer& layer) {
  std::vector<ValueId> values;
  for (const NodeId node : layer.nodes) {
    const Argument* input = program.nodes[node].input(layer.kind->input);
    if (input != nullptr && input->kind == Argument::Kind::kValue)
      values.push_back(flow.source(input->value));
  }
  return values;
}

/// Sets of weights that only grow.
class Families {
 public:
  explicit Families(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t of(size_t i) const { return parent_[i] == i ? i : of(parent_[i]); }
  void join(size_t a, size_t b) { parent_[of(a)] = of(b); }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

void share_among_siblings(const Program& program, std::vector<QuantizedWeight>& weights) {
  const auto shares = [](const QuantizedWeight& weight) { return weight.grid.form->is_shared_by_siblings(); };
  if (std::none_of(weights.begin(), weights.end(), shares)) return;
  const NumberFlow flow(program);
  Families families(weights.size());
  std::map<std::pair<const GridForm*, ValueId>, size_t> first_reader;
  std::map<size_t, double> largest;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!shares(weights[i])) continue;
    for (const ValueId value : values_read(program, flow, weights[i].layer))
      families.join(i, first_reader.try_emplace({weights[i].grid.form, value}, i).first->second);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!shares(weights[i])) continue;
    const at::Tensor& w = program.state.at(weights[i].layer.parameters.front());
    double& most = largest[families.of(i)];
    const double own = w.detach().abs().max().item<double>();
    if (std::isfinite(own)) most = std::max(most, own);  // the others are refused by their own names
  }
  for (size_t i = 0; i < weights.size(); ++i)
    if (shares(weights[i]))
      weights[i].grid.shared_scale = weights[i].grid.form->shared_scale(largest[families.of(i)]);
}

}  // namespace adascale
