#include "adascale/formats/metadata.h"

#include <nlohmann/json.hpp>

#include "adascale/core/version.h"
#include "adascale/formats/saved_state.h"

namespace adascale {

std::map<std::string, std::string> producer_metadata(const ExportRequest& request) {
  const std::vector<const QuantizationSimModel*>& sims = request.model.sims;
  nlohmann::json grids = nlohmann::json::object();
  for (const QuantizationSimModel* sim : sims)
    for (const SavedTensor& saved : saved_state(*sim))
      if (saved.weight != kNone) grids[saved.names.front()] = to_string(sim->weights()[saved.weight].grid);
  std::map<std::string, std::string> metadata = {
      {"adascale.version", kVersion},
      {"adascale.quant_scheme", to_string(sims.front()->options().quant_scheme)},
      {"adascale.weights", grids.dump()}};
  // Parts are trained by one recipe; the first one trained speaks for all.
  for (const QuantizationSimModel* sim : sims)
    for (const auto& [name, value] : sim->training()) metadata.emplace("adascale." + name, value);
  if (!request.options.plan.empty()) metadata["adascale.plan"] = request.options.plan;
  return metadata;
}

}  // namespace adascale
