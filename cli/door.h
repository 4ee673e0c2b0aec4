#pragma once
#include <functional>
#include <string>
#include <vector>

#include "adascale/graph/program.h"

namespace adascale {

/// A model opened by a door.
struct OpenedModel {
  Program program;
  std::string stem;  ///< what the files made from it are called: "model" of "dir/model.pt2"
};

/// A kind of MODEL that the command opens. The C++ binary has the `.pt2` door; the Python entry point adds
/// its own.
struct Door {
  std::string name;                  ///< ".pt2"
  std::string description;           ///< for --help and for the message when no door fits
  std::vector<std::string> formats;  ///< what `quantize` writes unless --format says otherwise
  std::function<bool(const std::string& model)> matches;
  std::function<OpenedModel(const std::string& model)> open;
};
using Doors = std::vector<Door>;

/// Programs saved by `torch.export.save`.
Door pt2_door();

/// The first door that matches; throws (user) listing what the doors take.
const Door& door_for(const Doors& doors, const std::string& model);
/// "a .pt2 file saved by torch.export.save, or ..."
std::string describe(const Doors& doors);

}  // namespace adascale
