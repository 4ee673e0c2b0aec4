#pragma once
#include "adascale/formats/encodings/load.h"
#include "model_files.h"

namespace adascale::testing {

/// AIMET's files of the model "sampled": aimet/NAME.
inline std::string aimet_file(const std::string& name) {
  return (kScripts / "aimet" / name).string();
}

inline QuantizationSimModel fresh(const std::string& name, SimOptions options = {}) {
  return {load_program(model_file(name)), std::move(options)};
}

inline at::Tensor simulated(const QuantizationSimModel& sim, const std::string& name) {
  return sim.run(bind_inputs(sim.program(), std::vector<at::Tensor>{example_input(name)})).front().toTensor();
}

inline std::vector<std::string> load(QuantizationSimModel& sim, const std::string& text,
                                     LoadOptions options = {}) {
  return load_encodings({{sim, ""}}, text, "e", options);
}

}  // namespace adascale::testing
