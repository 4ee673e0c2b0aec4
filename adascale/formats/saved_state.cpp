#include "adascale/formats/saved_state.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace adascale {
namespace {

/// The elements and the storage that a tensor stands for.
using Identity = std::tuple<const void*, c10::ScalarType, std::vector<int64_t>, std::vector<int64_t>>;

Identity identity_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr(), tensor.scalar_type(), tensor.sizes().vec(), tensor.strides().vec()};
}

/// Buffers registered with persistent=False: recomputed by the module's constructor,
/// absent from its state_dict.
std::set<std::string> passing_buffers(const Program& program) {
  std::set<std::string> names;
  for (const auto& spec : program.document->at("graph_module").at("signature").at("input_specs")) {
    const auto buffer = spec.find("buffer");
    if (buffer != spec.end() && !buffer->at("persistent").get<bool>())
      names.insert(buffer->at("buffer_name").get<std::string>());
  }
  return names;
}

std::map<Identity, int32_t> weights_by_identity(const QuantizationSimModel& sim) {
  std::map<Identity, int32_t> weights;
  for (size_t i = 0; i < sim.weights().size(); ++i) {
    const std::string& name = sim.weights()[i].layer.parameters.front();
    weights.emplace(identity_of(sim.program().state.at(name)), static_cast<int32_t>(i));
  }
  return weights;
}

std::vector<SavedValue> saved_values_of(const QuantizationSimModel& sim) {
  std::vector<SavedValue> values;
  for (const SavedTensor& saved : saved_state(sim)) {
    const at::Tensor& own = sim.program().state.at(saved.names.front());
    values.push_back({saved.names, saved.weight != kNone, own.scalar_type(), own.sizes().vec(),
                      [&sim, saved] { return values_of(sim, saved); }});
  }
  return values;
}

/// The quantized parameters of all parts by each of their names.
std::map<std::string, SavedValue> quantized_by_name(const ModelToWrite& model) {
  std::map<std::string, SavedValue> by_name;
  for (const QuantizationSimModel* sim : model.sims)
    for (const SavedValue& value : saved_values_of(*sim))
      if (value.is_quantized)
        for (const std::string& name : value.names) by_name.emplace(name, value);
  return by_name;
}

/// One of the live model's tensors: a part's quantized weight if one of its names is that.
SavedValue live_value(std::vector<std::string> names, const at::Tensor& shown,
                      const std::map<std::string, SavedValue>& quantized) {
  for (const std::string& name : names)
    if (const auto found = quantized.find(name); found != quantized.end())
      return {std::move(names), true, shown.scalar_type(), shown.sizes().vec(), found->second.value};
  return {std::move(names), false, shown.scalar_type(), shown.sizes().vec(),
          [shown] { return shown.detach().cpu(); }};
}

bool is_saved(const ProgramInput& input, const std::set<std::string>& passing) {
  if (input.kind == ProgramInput::Kind::kParameter) return true;
  return input.kind == ProgramInput::Kind::kBuffer && !passing.contains(input.name);
}

}  // namespace

std::vector<std::vector<size_t>> group_tied(const std::vector<at::Tensor>& tensors) {
  std::map<Identity, size_t> seen;
  std::vector<std::vector<size_t>> groups;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto [first, is_new] = seen.try_emplace(identity_of(tensors[i]), groups.size());
    // Empty tensors have no address of their own.
    if (is_new || tensors[i].numel() == 0)
      groups.push_back({i});
    else
      groups[first->second].push_back(i);
  }
  return groups;
}

std::vector<SavedTensor> saved_state(const QuantizationSimModel& sim) {
  const Program& program = sim.program();
  const std::set<std::string> passing = passing_buffers(program);
  const std::map<Identity, int32_t> weights = weights_by_identity(sim);
  std::vector<std::string> names;
  std::vector<at::Tensor> tensors;
  for (const ProgramInput& input : program.inputs) {
    if (!is_saved(input, passing)) continue;
    names.push_back(input.name);
    tensors.push_back(program.state.at(input.name));
  }
  std::vector<SavedTensor> saved;
  for (const std::vector<size_t>& group : group_tied(tensors)) {
    const auto weight = weights.find(identity_of(tensors[group.front()]));
    saved.push_back({{}, weight == weights.end() ? kNone : weight->second});
    for (const size_t i : group) saved.back().names.push_back(names[i]);
  }
  return saved;
}

std::vector<SavedValue> saved_values(const ModelToWrite& model) {
  if (model.parts == nullptr) return saved_values_of(*model.sims.front());
  const std::map<std::string, SavedValue> quantized = quantized_by_name(model);
  const std::vector<NamedTensor> state = model.state();
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& named : state) tensors.push_back(named.tensor);
  std::vector<SavedValue> values;
  for (const std::vector<size_t>& group : group_tied(tensors)) {
    std::vector<std::string> names;
    for (const size_t i : group) names.push_back(state[i].name);
    values.push_back(live_value(std::move(names), tensors[group.front()], quantized));
  }
  return values;
}

at::Tensor values_of(const QuantizationSimModel& sim, const SavedTensor& saved) {
  if (saved.weight != kNone) return sim.dequantized_weight(saved.weight).cpu();
  return sim.state(saved.names.front()).detach().cpu();
}

}  // namespace adascale
