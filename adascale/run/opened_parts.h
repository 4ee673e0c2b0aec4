#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "adascale/graph/program.h"
#include "adascale/io/safetensors.h"
#include "adascale/sim/parts.h"
#include "adascale/tune/live_inputs.h"

namespace adascale {

/// A model in parts as its door runs it, the parts simulated.
struct RunningModel {
  LiveModel live;  ///< for training: runs up to a part
  /// Runs the quantized model on a batch, which calls the parts' simulations.
  std::function<void(size_t batch)> run_quantized;
  /// Its parameters and buffers under all their names. Quantized weights may be as they came: their values are
  /// the parts'.
  std::function<std::vector<NamedTensor>()> state;
};

/// A model without a program of the whole, as its door opened it: programs of some of its modules, and its
/// data, which the door keeps.
struct OpenedParts {
  struct Part {
    std::string path;  ///< of the module
    Program program;
  };

  std::vector<Part> parts;                         ///< in the order of their calls
  std::string refusal;                             ///< why there is no program of the whole
  std::vector<PartedModel::LeftOut> not_captured;  ///< modules that are no part
  std::vector<std::string> idle;  ///< modules of several layers that no data reaches, nor any module in them
  std::vector<PlacedTensor> places;
  c10::Device device = at::kCPU;  ///< on which it runs
  int64_t batches = 0, samples = 0;
  int64_t batch_size = 0;  ///< the most samples in a batch; 0: each batch is as it was given
  Inputs first_batch;      ///< flat, tensors alone
  /// Takes the parts' simulations, which must outlive what it gives.
  std::function<RunningModel(const PartedModel&)> start;
};

}  // namespace adascale
