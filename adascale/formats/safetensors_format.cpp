#include <map>

#include "adascale/formats/format.h"
#include "adascale/formats/metadata.h"
#include "adascale/formats/read_back.h"
#include "adascale/formats/saved_state.h"
#include "adascale/io/safetensors.h"

namespace adascale {
namespace {

std::map<std::string, std::string> metadata_of(const ExportRequest& request,
                                               const std::vector<SavedValue>& state) {
  std::map<std::string, std::string> metadata = producer_metadata(request);
  metadata["format"] = "pt";
  // Tied weights as safetensors.torch.save_model notes them: the name left out -> the
  // name that holds the values.
  for (const SavedValue& saved : state)
    for (size_t i = 1; i < saved.names.size(); ++i) metadata.emplace(saved.names[i], saved.names.front());
  return metadata;
}

std::string safetensors_file_of(const ExportRequest& request) {
  return request.prefix + ".safetensors";
}

void write_safetensors_file(const ExportRequest& request, StagedFiles& files) {
  const std::vector<SavedValue> state = saved_values(request.model);
  std::vector<TensorToWrite> tensors;
  for (const SavedValue& saved : state)
    tensors.push_back({saved.names.front(), saved.dtype, saved.sizes, saved.value});
  write_safetensors_in_turn(files.path(safetensors_file_of(request)), tensors, metadata_of(request, state));
}

void read_back_safetensors_file(const ExportRequest& request, const StagedFiles& files) {
  const std::string& path = files.aside(safetensors_file_of(request));
  const std::vector<SavedValue> state = saved_values(request.model);
  expect_metadata(path, read_safetensors_metadata(path), metadata_of(request, state));
  HeldTensors held(path, read_safetensors(path, Mapping::kReadOnly));
  for (const SavedValue& saved : state) held.expect(saved.names.front(), saved.value());
  held.expect_no_more();
}

}  // namespace

ExportFormat safetensors_format() {
  return {.name = "safetensors",
          .description = "every parameter and buffer by name, quantized weights on their grid",
          .files = {"PREFIX.safetensors"},
          // Refuses a model that still has the batch norms that were folded, and knows tied weights.
          .how_to_load = "safetensors.torch.load_model(model, 'PREFIX.safetensors')",
          .takes_parts = true,
          .holds_signed_scales = true,
          .prepare = [](const ExportRequest& request) {
            return PreparedFormat{.files = {safetensors_file_of(request)},
                                  .write = write_safetensors_file,
                                  .read_back = read_back_safetensors_file};
          }};
}

}  // namespace adascale
