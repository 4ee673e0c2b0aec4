#include "adascale/formats/format.h"

namespace adascale {
namespace {

PreparedFormat prepare_hf(const ExportRequest& request) {
  if (request.options.source.save) return request.options.source.save(request);
  return {
      .objections = {"hf: is the folder that transformers saves, and it did not open this model; quantize a "
                     "transformers folder or model"}};
}

}  // namespace

ExportFormat hf_format() {
  return {.name = "hf",
          .description = "a transformers folder, weights on their grid",
          .files = {"config.json", "*.safetensors", "..."},
          .how_to_load =
              "from transformers import AutoModelForCausalLM; "
              "model = AutoModelForCausalLM.from_pretrained('.')  # or the model's own class",
          .is_folder = true,
          .takes_parts = true,
          .holds_signed_scales = true,
          .prepare = prepare_hf};
}

}  // namespace adascale
