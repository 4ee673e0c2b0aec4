#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/graph/program.h"
#include "adascale/run/data_request.h"
#include "adascale/run/opened_parts.h"

namespace adascale {

/// Tokens as text; empty: there is no tokenizer.
using Decode = std::function<std::string(const std::vector<int64_t>& ids)>;

/// A model opened by a door: a program with its samples, or parts.
struct OpenedModel {
  Program program;   ///< none of a model in parts
  std::string stem;  ///< of the files made from it: "model" of "dir/model.pt2"
  Samples samples;   ///< of its data; none without data
  ModelSource source = {};
  Decode decode = {};
  std::vector<std::string> notes = {};    ///< for the user, about model and data, one per line
  bool is_from_file = false;              ///< its tensors are then on the CPU whatever is wanted
  bool is_shared = false;                 ///< its tensors are also someone else's and stay unchanged
  std::optional<OpenedParts> parts = {};  ///< instead of program and samples
};

/// Throws (user) for a model in parts, with that cure.
void check_is_whole(const OpenedModel& model, const std::string& cure);

/// A kind of MODEL that the command opens, with the kinds of data it takes. The C++ binary has the `.pt2`
/// door; the Python package adds its own.
struct Door {
  std::string name;                  ///< ".pt2"
  std::string description;           ///< for --help and for the message when no door fits
  std::string data;                  ///< likewise for its data; empty: the same as the doors before it
  std::vector<std::string> formats;  ///< written where the request names none
  std::function<bool(const std::string& model)> matches;
  /// Reads the data too, before the model where that is cheaper. Throws (user) for data
  /// options that it does not use.
  std::function<OpenedModel(const std::string& model, const DataRequest& data)> open;
};
using Doors = std::vector<Door>;

/// Programs saved by `torch.export.save`, with `.safetensors` for data.
Door pt2_door();

/// The device of a model's computation: the one of that name. auto: for a model from a file CUDA if
/// there is one, else the device of its parameters; of a model in parts the one on which it runs.
/// Throws (user) as compute_device does.
c10::Device device_for(const OpenedModel& model, const std::string& name);

/// The first door that matches; throws (user) listing the models that the doors take.
const Door& door_for(const Doors& doors, const std::string& model);
/// "a .pt2 file saved by torch.export.save, or ..."
std::string describe(const Doors& doors);
/// The same for their data.
std::string describe_data(const Doors& doors);

}  // namespace adascale
