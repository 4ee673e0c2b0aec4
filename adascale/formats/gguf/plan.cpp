#include "adascale/formats/gguf/plan.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/spelling.h"
#include "adascale/formats/gguf/blocks.h"
#include "adascale/formats/saved_state.h"

namespace adascale {
namespace {

using Names = std::map<std::string, std::string>;

/// llama.cpp's names of the tensor, for each name that the model has for it; a .gguf was read
/// under transformers' names.
std::vector<std::string> gguf_names(const SavedTensor& saved, const GgufSource& source, const Names& names) {
  std::vector<std::string> found;
  for (const std::string& name : saved.names) {
    const auto stored = names.find(name);
    if (stored == names.end() && !source.file) continue;
    const std::string gguf = gguf_tensor_name(stored == names.end() ? name : stored->second);
    if (!gguf.empty() && std::count(found.begin(), found.end(), gguf) == 0) found.push_back(gguf);
  }
  // A head tied to the embedding is not a tensor of its own.
  std::stable_partition(found.begin(), found.end(),
                        [](const std::string& n) { return n == "token_embd.weight"; });
  return found;
}

GgufPlanned planned(const QuantizationSimModel& sim, const GgufSource& source, const SavedTensor& saved,
                    const std::string& name) {
  GgufPlanned tensor{.name = name,
                     .sizes = sim.program().state.at(saved.names.front()).sizes().vec(),
                     .weight = saved.weight,
                     .parameter = saved.names.front(),
                     .heads = heads_that_move(*source.architecture, name, source.heads, source.kv_heads)};
  if (saved.weight != kNone) tensor.grid = gguf_type_of(sim.weights()[saved.weight].grid);
  return tensor;
}

void check_planned(const GgufPlanned& tensor, const QuantizationSimModel& sim, Objections& objections) {
  if (tensor.heads > 0 && tensor.sizes.front() % (2 * tensor.heads) != 0)
    objections.add("gguf: {}: {} rows are no {} heads of an even width", tensor.parameter,
                   tensor.sizes.front(), tensor.heads);
  if (tensor.weight == kNone || tensor.grid != nullptr) return;
  const QuantizedWeight& weight = sim.weights()[tensor.weight];
  objections.add(
      "gguf: {}: its grid, {}, is no type of GGUF's; "
      "quantize with {}, which fits the grids, or leave the layer out ({})",
      weight.layer.name, to_string(weight.grid), option("formats", "gguf"), how_to_exclude());
}

/// For a .gguf: its own tensors, the quantized ones replaced.
std::vector<GgufPlanned> plan_from_file(const std::vector<GgufPlanned>& quantized, const GgufSource& source,
                                        Objections& objections) {
  std::vector<GgufPlanned> plan;
  for (const GgufTensor& tensor : source.file->tensors) {
    const auto replaced = std::find_if(quantized.begin(), quantized.end(),
                                       [&](const GgufPlanned& one) { return one.name == tensor.name; });
    if (replaced == quantized.end())
      plan.push_back({.name = tensor.name, .sizes = tensor.sizes, .copied = &tensor});
    else if (replaced->sizes != tensor.sizes)
      objections.add("gguf: {} is [{}] in the source, but [{}] in the model", tensor.name,
                     fmt::join(tensor.sizes, ", "), fmt::join(replaced->sizes, ", "));
    else
      plan.push_back(*replaced);
  }
  return plan;
}

}  // namespace

std::vector<GgufPlanned> plan_gguf(const QuantizationSimModel& sim, const GgufSource& source,
                                   const Names& names, Objections& objections) {
  std::vector<GgufPlanned> plan;
  for (const SavedTensor& saved : saved_state(sim)) {
    std::vector<std::string> found = gguf_names(saved, source, names);
    if (source.file)
      std::erase_if(found, [&](const std::string& name) { return source.file->find(name) == nullptr; });
    else if (found.size() > 1)
      found.resize(1);
    // Tensors of a .gguf that quantizing does not touch are copied.
    if (source.file && saved.weight == kNone) continue;
    if (found.empty())
      objections.add("gguf: {} has no place in llama.cpp's {}{}", saved.names.front(),
                     source.architecture->name,
                     saved.weight == kNone ? "" : fmt::format("; leave it out ({})", how_to_exclude()));
    for (const std::string& name : found) plan.push_back(planned(sim, source, saved, name));
  }
  for (const GgufPlanned& tensor : plan) check_planned(tensor, sim, objections);
  return source.file ? plan_from_file(plan, source, objections) : plan;
}

namespace {

at::Tensor move_rows(const at::Tensor& t, int64_t heads) {
  return heads == 0 ? t : t.index_select(0, moved_rows(t.size(0), heads));
}

/// Moves rows of codes and of all tensors that belong to them.
Encoding move_rows(Encoding encoding, int64_t heads) {
  for (at::Tensor* tensor : tensors_of(encoding)) *tensor = move_rows(*tensor, heads);
  return encoding;
}

c10::ScalarType dtype_of(const GgmlType& type) {
  const std::string name = type.name;
  return name == "F32" ? at::kFloat : name == "F16" ? at::kHalf : at::kBFloat16;
}

}  // namespace

GgufEntry gguf_entry(const GgufPlanned& planned, const QuantizationSimModel& sim, const GgufSource& source) {
  GgufEntry entry{.name = planned.name, .sizes = planned.sizes};
  if (planned.copied != nullptr) {
    entry.type = planned.copied->type;
    entry.bytes = [&source, planned] { return source.file->bytes(*planned.copied); };
  } else if (planned.grid != nullptr) {
    entry.type = &ggml_type_of(*planned.grid);
    entry.bytes = [&sim, planned] {
      const Encoding encoding = sim.weight_encoding(planned.weight);
      return pack_gguf(move_rows(encoding, planned.heads), *planned.grid);
    };
  } else {
    entry.type = &unquantized_type(sim.state(planned.parameter).detach());
    entry.bytes = [&sim, planned, type = entry.type] {
      const at::Tensor values = move_rows(sim.state(planned.parameter).detach().cpu(), planned.heads);
      return values.to(dtype_of(*type)).contiguous();
    };
  }
  return entry;
}

}  // namespace adascale
