#include <torch/version.h>

#include <unordered_set>

#include "adascale/core/error.h"
#include "adascale/io/archive_writer.h"
#include "adascale/io/file_passes.h"
#include "adascale/io/node_inserter.h"
#include "adascale/io/pt2.h"

namespace adascale {
namespace {

using nlohmann::json;

bool is_same_tensor(const at::Tensor& a, const at::Tensor& b) {
  return a.const_data_ptr() == b.const_data_ptr() && a.sizes() == b.sizes() && a.strides() == b.strides() &&
         a.numel() > 0;
}

void check_replacement(const std::string& name, const at::Tensor& own, const at::Tensor& given) {
  ADA_ASSERT(given.sizes() == own.sizes() && given.scalar_type() == own.scalar_type(),
             "'" + name + "' is replaced by a tensor of another shape or dtype");
}

std::unordered_set<std::string> temporary_buffers(const json& document) {
  std::unordered_set<std::string> names;
  for (const json& spec : document.at("graph_module").at("signature").at("input_specs")) {
    const auto buffer = spec.find("buffer");
    if (buffer == spec.end() || buffer->at("persistent").get<bool>()) continue;
    names.insert(buffer->at("buffer_name").get<std::string>());
  }
  return names;
}

/// Writes the tensors; buffers outside the state dict go with the constants, as torch.export does.
void write_state(const Program& program, const NewTensors& given, const std::string& path,
                 ArchiveWriter& archive) {
  const size_t tensors = program.inputs.size() - program.user_inputs().size();
  Pass pass = pass_writing(path, tensors);
  json weights = json::object(), constants = json::object();
  const auto temporary = temporary_buffers(*program.document);
  for (const ProgramInput& input : program.inputs) {
    using Kind = ProgramInput::Kind;
    if (input.kind == Kind::kUser) continue;
    const at::Tensor tensor = tensor_to_save(program, given, input.name);
    const bool is_parameter = input.kind == Kind::kParameter;
    const at::Tensor& original = program.state.at(input.name);
    if (input.kind == Kind::kConstant || temporary.count(input.name)) {
      constants[input.name] =
          archive.write_tensor("data/constants/", "tensor", tensor, original, is_parameter);
    } else {
      weights[input.name] = archive.write_tensor("data/weights/", "weight", tensor, original, is_parameter);
    }
    pass.step();
  }
  archive.write_text("data/weights/model_weights_config.json", json{{"config", weights}}.dump());
  archive.write_text("data/constants/model_constants_config.json", json{{"config", constants}}.dump());
}

/// Files are for the CPU and run on any device: the graph's device of capture is replaced.
void put_on_cpu(json& part) {
  if (part.is_array())
    for (json& item : part) put_on_cpu(item);
  if (!part.is_object()) return;
  for (auto& [key, held] : part.items()) {
    const bool is_device =
        (key == "device" || key == "as_device") && held.is_object() && held.contains("type");
    if (is_device)
      held = {{"type", "cpu"}, {"index", nullptr}};
    else
      put_on_cpu(held);
  }
}

/// Adds what only a file needs; the document of a live capture may lack it.
json complete(json document) {
  put_on_cpu(document);
  if (!document.contains("verifiers")) document["verifiers"] = {"TRAINING"};
  if (!document.contains("torch_version")) document["torch_version"] = TORCH_VERSION;
  return document;
}

}  // namespace

at::Tensor tensor_to_save(const Program& program, const NewTensors& given, const std::string& name) {
  const at::Tensor& own = program.state.at(name);
  const auto found = given.find(name);
  if (found != given.end()) {
    const at::Tensor made = found->second();
    check_replacement(name, own, made);
    return made.detach().set_requires_grad(own.requires_grad());
  }
  for (const auto& [other, make] : given) {
    const auto tied = program.state.find(other);
    if (tied == program.state.end() || !is_same_tensor(tied->second, own)) continue;
    const at::Tensor made = make();
    check_replacement(other, own, made);
    return made.detach().set_requires_grad(own.requires_grad());
  }
  return own;
}

std::string program_json(const Program& program, const std::vector<InsertedNode>& inserted) {
  NodeInserter inserter(program);
  inserter.insert(inserted);
  return complete(inserter.document()).dump();
}

void save_program(const Program& program, const std::string& path, const NewTensors& state,
                  const std::vector<InsertedNode>& inserted,
                  const std::map<std::string, std::string>& metadata) {
  const std::string document = program_json(program, inserted);
  ArchiveWriter archive(path);
  write_state(program, state, path, archive);
  archive.write_text("models/model.json", document);
  archive.write_text("data/sample_inputs/model.pt",
                     "");  // torch.export.load requires the record, not its content
  if (!metadata.empty()) archive.write_text("extra/adascale.json", json(metadata).dump());
  archive.write_text("archive_format", "pt2");
  archive.write_text("archive_version", "0");
  archive.write_text("byteorder", "little");
  archive.finish();
}

}  // namespace adascale
