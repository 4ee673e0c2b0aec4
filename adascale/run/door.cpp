#include "adascale/run/door.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/device/devices.h"
#include "adascale/io/pt2.h"
#include "adascale/io/safetensors.h"
#include "adascale/sim/compute_device.h"

namespace adascale {
namespace {

namespace fs = std::filesystem;

void check_no_text_options(const DataRequest& data) {
  const DataOptions& options = data.options;
  Objections objections;
  if (data.files.size() > 1)
    objections.add("{}: got {} files, expected one .safetensors with a .pt2", option("data"),
                   data.files.size());
  if (options.seq_len) objections.add("{}: for text only, and a .pt2 takes none", option("seq_len"));
  if (options.packing != "auto")
    objections.add("{}: for text only, and a .pt2 takes none", option("packing"));
  if (!options.data_weights.empty())
    objections.add("{}: for several files, and a .pt2 takes one", option("data_weights"));
  objections.raise();
}

/// The only input of a program may have any name in the file.
Samples read_samples(const Program& program, const std::string& path) {
  std::vector<NamedTensor> tensors = read_safetensors(path);
  ADA_CHECK(!tensors.empty(), "{}: no tensors, so no samples", path);
  std::vector<std::string> names;
  for (const ProgramInput* input : program.user_inputs())
    if (input->value != kNone) names.push_back(input->name);
  if (names.size() == 1 && tensors.size() == 1) tensors[0].name = names[0];
  Samples samples;
  for (NamedTensor& tensor : tensors) samples[tensor.name] = tensor.tensor;
  return samples;
}

OpenedModel open_pt2(const std::string& model, const DataRequest& data) {
  check_no_text_options(data);
  OpenedModel opened{load_program(model), fs::path(model).stem().string(), {}};
  opened.is_from_file = true;
  if (!data.files.empty()) opened.samples = read_samples(opened.program, data.files[0]);
  return opened;
}

std::string list_of(const Doors& doors, std::string Door::*text) {
  std::vector<std::string> texts;
  for (const Door& door : doors)
    if (!(door.*text).empty()) texts.push_back(door.*text);
  return fmt::format("{}", fmt::join(texts, ", or "));
}

}  // namespace

Door pt2_door() {
  return {.name = ".pt2",
          .description = "a .pt2 file saved by torch.export.save",
          .data = "a .safetensors, tensors named like the model's inputs, samples along dim 0",
          .formats = {"pt2", "safetensors", "encodings"},
          .matches = [](const std::string& model) { return fs::path(model).extension() == ".pt2"; },
          .open = open_pt2};
}

void check_is_whole(const OpenedModel& model, const std::string& cure) {
  if (model.parts) fail("{}; {}", model.parts->refusal, cure);
}

c10::Device device_for(const OpenedModel& model, const std::string& name) {
  if (model.parts) return model.parts->device;
  const bool prefers = name == "auto" && model.is_from_file;
  return prefers ? preferred_device() : compute_device(model.program, name);
}

const Door& door_for(const Doors& doors, const std::string& model) {
  ADA_CHECK(fs::path(model).extension() != ".onnx",
            "{}: ONNX models are not opened; give the PyTorch model it was made from, expected {}", model,
            describe(doors));
  const auto door = std::find_if(doors.begin(), doors.end(), [&](const Door& d) { return d.matches(model); });
  ADA_CHECK(door != doors.end(), "{}: {}; expected {}", model,
            fs::exists(model) ? "not a model this command opens" : "no such file or folder", describe(doors));
  return *door;
}

std::string describe(const Doors& doors) {
  return list_of(doors, &Door::description);
}

std::string describe_data(const Doors& doors) {
  return list_of(doors, &Door::data);
}

}  // namespace adascale
