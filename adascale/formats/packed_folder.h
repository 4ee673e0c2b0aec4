#pragma once
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/formats/linear_codes.h"
#include "adascale/formats/read_back.h"
#include "adascale/io/safetensors.h"

namespace adascale {

/// A format that is the model's own transformers folder, with packed codes in place of quantized weights and
/// a "quantization_config" in config.json.
struct PackedFolder {
  std::string format;               ///< its name, for messages
  std::vector<std::string> layers;  ///< kinds of layers whose weights it packs: "Linear"
  std::vector<int> bits;            ///< of weights for which it has a layout
  std::vector<std::string> files;   ///< written by the format itself
};

/// A quantized weight and the modules that apply it, by the model's own names.
struct PackedLayer {
  int32_t weight;                    ///< index into sim.weights()
  std::string stored;                ///< "model.layers.0.mlp.up_proj": its tensors' names begin with it
  std::vector<std::string> modules;  ///< their names for readers; several where they are tied
};

/// The format's answer but for `write`. Objections: no source folder, an unreadable one or the output's
/// own, layers of other kinds, classes or shapes, bits, grids without plain scales, weights
/// that the source stores in other pieces or ties, folded batch norms, weights of another
/// run in the output folder. Notes: weights of the source folder that are left out.
PreparedFormat prepare_packed_folder(const PackedFolder& kind, const ExportRequest& request);

/// In the order of sim.weights().
std::vector<PackedLayer> packed_layers(const ExportRequest& request);
/// Names of the modules whose weight is a matrix and stays unchanged.
std::vector<std::string> unpacked_modules(const ExportRequest& request);

/// How a weight is packed into tensors, named by their suffix to the module's name ("weight_packed").
struct Packing {
  std::function<std::vector<NamedTensor>(const Encoding&)> pack;
  /// The codes of a weight [out, in] on that grid from the tensors that a file holds of the module.
  std::function<LinearCodes(HeldTensors&, const std::string& module, const Grid&, at::IntArrayRef sizes)>
      unpack;
};

/// Writes model.safetensors, config.json with `quantization_config`, and the folder's other files.
void write_packed_folder(const ExportRequest& request, const nlohmann::ordered_json& quantization_config,
                         const Packing& packing, StagedFiles& files);
/// PreparedFormat::read_back of these files.
void read_back_packed_folder(const ExportRequest& request, const nlohmann::ordered_json& quantization_config,
                             const Packing& packing, const StagedFiles& files);

}  // namespace adascale
