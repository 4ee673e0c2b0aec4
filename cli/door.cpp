#include "cli/door.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/io/pt2.h"

namespace adascale {

namespace fs = std::filesystem;

Door pt2_door() {
  return {.name = ".pt2",
          .description = "a .pt2 file saved by torch.export.save",
          .formats = {"pt2", "safetensors", "encodings"},
          .matches = [](const std::string& model) { return fs::path(model).extension() == ".pt2"; },
          .open = [](const std::string& model) -> OpenedModel {
            return {load_program(model), fs::path(model).stem().string()};
          }};
}

const Door& door_for(const Doors& doors, const std::string& model) {
  const auto door = std::find_if(doors.begin(), doors.end(), [&](const Door& d) { return d.matches(model); });
  ADA_CHECK(door != doors.end(), "{}: not a model this command opens; expected {}", model, describe(doors));
  return *door;
}

std::string describe(const Doors& doors) {
  std::vector<std::string> descriptions;
  for (const Door& door : doors) descriptions.push_back(door.description);
  return fmt::format("{}", fmt::join(descriptions, ", or "));
}

}  // namespace adascale
