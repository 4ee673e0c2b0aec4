#include "adascale/sim/families.h"

#include <map>
#include <numeric>

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

/// Sets of layers that only grow.
class Families {
 public:
  explicit Families(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t of(size_t i) const { return parent_[i] == i ? i : of(parent_[i]); }
  void join(size_t a, size_t b) { parent_[of(a)] = of(b); }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

std::vector<size_t> families_of(const Program& program, const std::vector<const Layer*>& layers) {
  const NumberFlow flow(program);
  Families families(layers.size());
  std::map<ValueId, size_t> first_reader;
  for (size_t i = 0; i < layers.size(); ++i)
    for (const ValueId value : values_read(program, flow, *layers[i]))
      families.join(i, first_reader.try_emplace(value, i).first->second);
  std::vector<size_t> found;
  for (size_t i = 0; i < layers.size(); ++i) found.push_back(families.of(i));
  return found;
}

}  // namespace adascale
