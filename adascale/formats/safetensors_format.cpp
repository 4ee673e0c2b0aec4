#include <map>
#include <nlohmann/json.hpp>

#include "adascale/formats/format.h"
#include "adascale/formats/saved_state.h"
#include "adascale/formats/version.h"
#include "adascale/io/safetensors.h"

namespace adascale {
namespace {

/// {"encoder.fc1.weight": "int4 symmetric per channel"}, every quantized weight.
std::string grids_of(const QuantizationSimModel& sim, const std::vector<SavedTensor>& state) {
  nlohmann::json grids = nlohmann::json::object();
  for (const SavedTensor& saved : state)
    if (saved.weight != kNone) grids[saved.names.front()] = to_string(sim.weights()[saved.weight].grid);
  return grids.dump();
}

std::map<std::string, std::string> metadata_of(const QuantizationSimModel& sim,
                                               const std::vector<SavedTensor>& state) {
  std::map<std::string, std::string> metadata = {
      {"format", "pt"},
      {"adascale.version", kVersion},
      {"adascale.quant_scheme", to_string(sim.options().quant_scheme)},
      {"adascale.weights", grids_of(sim, state)}};
  // As safetensors.torch.save_model notes tied weights: the name left out -> the name that holds the values.
  for (const SavedTensor& saved : state)
    for (size_t i = 1; i < saved.names.size(); ++i) metadata.emplace(saved.names[i], saved.names.front());
  return metadata;
}

void write_safetensors_file(const ExportRequest& request, StagedFiles& files) {
  const std::vector<SavedTensor> state = saved_state(request.sim);
  std::vector<NamedTensor> tensors;
  for (const SavedTensor& saved : state)
    tensors.push_back({saved.names.front(), values_of(request.sim, saved).cpu().contiguous()});
  write_safetensors(files.path(request.prefix + ".safetensors"), tensors, metadata_of(request.sim, state));
}

}  // namespace

ExportFormat safetensors_format() {
  return {.name = "safetensors",
          .description = "every parameter and buffer by name, quantized weights on their grid",
          .files = {"PREFIX.safetensors"},
          .holds_activations = false,
          .check = [](const ExportRequest&, Objections&) {},
          .write = write_safetensors_file};
}

}  // namespace adascale
