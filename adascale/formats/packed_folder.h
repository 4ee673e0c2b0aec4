#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/io/safetensors.h"

namespace adascale {

/// A format that is the model's own transformers folder, with packed codes in place of quantized weights and
/// a "quantization_config" in config.json.
struct PackedFolder {
  std::string format;               ///< its name, for messages
  std::vector<std::string> layers;  ///< kinds of layers whose weights it packs: "Linear"
  std::vector<int> bits;            ///< of weights that it has a layout for
  std::vector<std::string> files;   ///< that it makes itself
};

/// A quantized weight and the modules, by the model's own names, that apply it.
struct PackedLayer {
  int32_t weight;                    ///< index into sim.weights()
  std::string stored;                ///< "model.layers.0.mlp.up_proj": what its tensors' names begin with
  std::vector<std::string> modules;  ///< what the readers call them; several where they are tied
};

/// Adds all that such a folder cannot hold: no source folder, one that cannot be read or is the output's,
/// layers of other kinds, classes or shapes, bits, grids without plain scales, weights that the source stores
/// in other pieces or ties, batch norms folded, weights of another run in the output folder.
void check_packed_folder(const PackedFolder& kind, const ExportRequest& request, Objections& objections);

/// What the user should know before: weights of the source folder that do not come along.
std::vector<std::string> packed_folder_notes(const PackedFolder& kind, const ExportRequest& request);

/// In the order of sim.weights().
std::vector<PackedLayer> packed_layers(const ExportRequest& request);
/// Names of the modules with a matrix for a weight that stays as it was.
std::vector<std::string> unpacked_modules(const ExportRequest& request);

/// Writes model.safetensors, config.json with `quantization_config`, and the folder's other files. `pack`
/// makes a weight's tensors, named as they follow the module's name ("weight_packed").
void write_packed_folder(const ExportRequest& request, const nlohmann::ordered_json& quantization_config,
                         const std::function<std::vector<NamedTensor>(const Encoding&)>& pack,
                         StagedFiles& files);

}  // namespace adascale
