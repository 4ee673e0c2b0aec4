#include "adascale/run/weight_size.h"

#include <c10/util/accumulate.h>

#include <set>
#include <utility>

#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

int64_t bytes_of(const std::vector<at::Tensor>& tensors) {
  std::set<std::pair<const void*, int64_t>> seen;
  int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    if (seen.insert({tensor.const_data_ptr(), size}).second) bytes += size;
  }
  return bytes;
}

int64_t state_bytes(const ModelToWrite& model) {
  if (model.parts == nullptr) return state_bytes(model.sims.front()->program());
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& named : model.state()) tensors.push_back(named.tensor);
  return bytes_of(tensors);
}

}  // namespace

int64_t packed_bytes(at::IntArrayRef weight_sizes, const Grid& grid) {
  return bytes_of_bits(c10::multiply_integers(weight_sizes), grid.bits) +
         grid.form->scale_bytes(weight_sizes, grid);
}

int64_t state_bytes(const Program& program) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : program.state) tensors.push_back(tensor);
  return bytes_of(tensors);
}

ModelSize size_of(const ModelToWrite& model) {
  ModelSize size;
  for (const QuantizationSimModel* sim : model.sims) {
    for (const QuantizedWeight& weight : sim->weights()) {
      const at::Tensor& w = sim->program().state.at(weight.layer.parameters.front());
      size.weights += w.numel();
      size.layers_before += static_cast<int64_t>(w.nbytes());
      size.layers_after += packed_bytes(w.sizes(), weight.grid);
    }
  }
  size.rest = state_bytes(model) - size.layers_before;
  return size;
}

}  // namespace adascale
