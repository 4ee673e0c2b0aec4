#pragma once
#include <functional>
#include <string>
#include <vector>

#include "adascale/formats/format.h"
#include "adascale/graph/program.h"
#include "cli/data_request.h"
#include "cli/text.h"

namespace adascale {

/// A model opened by a door.
struct OpenedModel {
  Program program;
  std::string stem;  ///< what the files made from it are called: "model" of "dir/model.pt2"
  Samples samples;   ///< of the data it was opened for; none without data
  ModelSource source = {};
  std::vector<ExportFormat> formats = {};  ///< that only this model has, beside those of export_formats()
  std::vector<std::string> notes = {};     ///< what the user should know of model and data, a line each
  bool is_from_file = false;               ///< so that its tensors are on the CPU whatever is wanted
  bool is_shared = false;                  ///< its tensors are someone else's too, and stay as they are
};

/// A kind of MODEL that the command opens, with the kinds of data it takes. The C++ binary has the `.pt2`
/// door; the Python package adds its own.
struct Door {
  std::string name;                  ///< ".pt2"
  std::string description;           ///< for --help and for the message when no door fits
  std::string data;                  ///< likewise, of the data it takes; empty: what the doors before it take
  std::vector<std::string> formats;  ///< what `quantize` writes unless --format says otherwise
  std::vector<Row> own_formats = {};  ///< name, files, description: OpenedModel::formats, before there is one
  std::function<bool(const std::string& model)> matches;
  /// Reads the data too, first where that is cheaper. Throws (user) for data options that mean nothing to it.
  std::function<OpenedModel(const std::string& model, const DataRequest& data)> open;
};
using Doors = std::vector<Door>;

/// Programs saved by `torch.export.save`, with `.safetensors` for data.
Door pt2_door();

/// Where a model is computed: the device of that name; auto: for one from a file CUDA if there is one, else
/// where its parameters are. Throws (user) as compute_device does.
c10::Device device_for(const OpenedModel& model, const std::string& name);

/// The first door that matches; throws (user) listing what the doors take.
const Door& door_for(const Doors& doors, const std::string& model);
/// "a .pt2 file saved by torch.export.save, or ..."
std::string describe(const Doors& doors);
/// The same of their data.
std::string describe_data(const Doors& doors);

}  // namespace adascale
