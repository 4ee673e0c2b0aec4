#pragma once
#include <filesystem>

#include "adascale/io/pt2.h"

namespace adascale::fuzz {

/// A small model, for readers that need one beside their input.
inline const Program& sampled_model() {
  static const Program program = load_program(ADASCALE_FUZZ_MODELS "/sampled.pt2");
  return program;
}

/// The tensors of all models in models/. Their names differ, or their shapes agree.
inline const std::unordered_map<std::string, at::Tensor>& state_of_models() {
  static const auto all = [] {
    std::unordered_map<std::string, at::Tensor> state;
    for (const auto& entry : std::filesystem::directory_iterator(ADASCALE_FUZZ_MODELS))
      if (entry.path().extension() == ".pt2") state.merge(load_program(entry.path()).state);
    return state;
  }();
  return all;
}

}  // namespace adascale::fuzz
