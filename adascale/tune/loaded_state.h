#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "adascale/graph/program.h"

namespace adascale {

/// The tensors of one stream's state on the device while a stage runs, each moved or
/// computed once. Tensors that take memory of their own are kept up to a budget, on a CPU one at least, such as
/// an embedding's table. Beyond it they are made anew at each use.
class LoadedState {
 public:
  /// `load`: a parameter, buffer or constant, wherever it is.
  LoadedState(c10::Device device, int64_t budget_bytes, std::function<at::Tensor(ValueId)> load)
      : device_(device), budget_(budget_bytes), load_(std::move(load)) {}

  at::Tensor get(ValueId value);
  void forget();

 private:
  c10::Device device_;
  int64_t budget_, used_ = 0;
  std::function<at::Tensor(ValueId)> load_;
  std::unordered_map<ValueId, at::Tensor> kept_;
};

}  // namespace adascale
