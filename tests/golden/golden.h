#pragma once
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>

#include "adascale/io/safetensors.h"

namespace adascale::golden {

using Tensors = std::map<std::string, at::Tensor>;

/// AIMET 2.42.0's numbers in golden/<name>.npz ("golden_linear", "golden_conv"): two blocks (a, relu,
/// b), 4 bits, symmetric, per channel, trained 50 iterations with input mixing off.
///
///   x                                        inputs [batches, samples, ...]
///   iters, bits, lr_beta_gamma, lr_scales    settings of the run
///   blkI.L.W0, bias, min0, max0              the start of layer L of block I
///   blkI.L.beta, gamma, s2, s3 [, s4]        its trained learnables
///   blkI.L.Wfold, min1, max1                 left by AIMET: W' and its range
///   lossesI                                  the loss of every iteration
///   out_fp, out_rtn, out_ada                 the model's outputs on all samples
inline Tensors load(const std::string& name) {
  // Its own file per process: ctest runs tests side by side.
  const std::string file = fmt::format("{}/{}.{}.safetensors", ADASCALE_TEST_SCRATCH, name, getpid());
  const std::string command =
      fmt::format("\"{0}\" \"{1}/golden/npz_to_safetensors.py\" \"{1}/golden/{2}.npz\" \"{3}\"",
                  ADASCALE_TEST_PYTHON, ADASCALE_TEST_DATA, name, file);
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  Tensors tensors;
  for (const NamedTensor& named : read_safetensors(file)) tensors[named.name] = named.tensor.clone();
  std::filesystem::remove(file);
  return tensors;
}

/// The largest absolute difference.
inline double distance(const at::Tensor& x, const at::Tensor& y) {
  return (x.sub(y)).abs().max().item<double>();
}

}  // namespace adascale::golden
