#include "adascale/core/error.h"
#include "adascale/io/archive.h"
#include "adascale/io/pt2.h"

namespace adascale {

Program load_program(const std::string& path, Mapping mapping) {
  Archive archive(path, mapping);
  std::unordered_map<std::string, at::Tensor> state;
  archive.read_tensors("data/weights/model_weights_config.json", "data/weights/", state);
  archive.read_tensors("data/constants/model_constants_config.json", "data/constants/", state);
  try {
    return parse_program(archive.text("models/model.json"), std::move(state));
  } catch (const Error& error) {  // boundary: names the file
    fail("{}: {}", path, error.what());
  }
}

}  // namespace adascale
