#include "adascale/sim/siblings.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "adascale/quant/forms/form.h"
#include "adascale/sim/families.h"

namespace adascale {
namespace {

/// Of the weights on one form, which shares its scales.
void share(const Program& program, const std::vector<QuantizedWeight*>& weights) {
  std::vector<const Layer*> layers;
  for (const QuantizedWeight* weight : weights) layers.push_back(&weight->layer);
  const std::vector<size_t> families = families_of(program, layers);
  std::map<size_t, double> largest;
  for (size_t i = 0; i < weights.size(); ++i) {
    const at::Tensor& w = program.state.at(layers[i]->parameters.front());
    double& most = largest[families[i]];
    const double own = w.detach().abs().max().item<double>();
    if (std::isfinite(own)) most = std::max(most, own);  // the others are refused by their own names
  }
  for (size_t i = 0; i < weights.size(); ++i)
    weights[i]->grid.shared_scale = weights[i]->grid.form->shared_scale(largest[families[i]]);
}

}  // namespace

void share_among_siblings(const Program& program, std::vector<QuantizedWeight>& weights) {
  std::map<std::string, std::vector<QuantizedWeight*>> by_form;
  for (QuantizedWeight& weight : weights)
    if (weight.grid.form->is_shared_by_siblings()) by_form[weight.grid.form->name()].push_back(&weight);
  for (const auto& [form, sharing] : by_form) share(program, sharing);
}

}  // namespace adascale
