#include "adascale/run/weight_size.h"

#include <c10/util/accumulate.h>

#include <set>
#include <utility>

#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

std::vector<at::Tensor> tensors_of(const ModelToWrite& model) {
  std::vector<at::Tensor> tensors;
  if (model.parts != nullptr)
    for (const NamedTensor& named : model.state()) tensors.push_back(named.tensor);
  else
    for (const auto& [name, tensor] : model.sims.front()->program().state) tensors.push_back(tensor);
  return tensors;
}

int64_t state_bytes(const ModelToWrite& model) {
  std::set<std::pair<const void*, int64_t>> seen;
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors_of(model)) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    if (seen.insert({tensor.const_data_ptr(), size}).second) bytes += size;
  }
  return bytes;
}

}  // namespace

int64_t packed_bytes(at::IntArrayRef weight_sizes, const Grid& grid) {
  return bytes_of_bits(c10::multiply_integers(weight_sizes), grid.bits) +
         grid.form->scale_bytes(weight_sizes, grid);
}

ModelSize size_of(const ModelToWrite& model) {
  ModelSize size;
  for (const QuantizationSimModel* sim : model.sims) {
    for (const QuantizedWeight& weight : sim->weights()) {
      const at::Tensor& w = sim->program().state.at(weight.layer.parameters.front());
      size.layers_before += static_cast<int64_t>(w.nbytes());
      size.layers_after += packed_bytes(w.sizes(), weight.grid);
    }
  }
  size.rest = state_bytes(model) - size.layers_before;
  return size;
}

}  // namespace adascale
