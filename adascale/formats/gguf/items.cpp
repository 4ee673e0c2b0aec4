#include "adascale/formats/gguf/items.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/spelling.h"
#include "adascale/formats/gguf/blocks.h"
#include "adascale/formats/read_back.h"
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

GgufItem item_of(const QuantizationSimModel& sim, const GgufSource& source, const SavedTensor& saved,
                 const std::string& name) {
  GgufItem tensor{.name = name,
                  .sizes = sim.program().state.at(saved.names.front()).sizes().vec(),
                  .weight = saved.weight,
                  .parameter = saved.names.front(),
                  .heads = heads_that_move(*source.architecture, name, source.heads, source.kv_heads)};
  if (saved.weight != kNone) tensor.grid = gguf_type_of(sim.weights()[saved.weight].grid);
  return tensor;
}

void check_item(const GgufItem& tensor, const QuantizationSimModel& sim, Objections& objections) {
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
std::vector<GgufItem> items_from_file(const std::vector<GgufItem>& quantized, const GgufSource& source,
                                      Objections& objections) {
  std::vector<GgufItem> items;
  for (const GgufTensor& tensor : source.file->tensors) {
    const auto replaced = std::find_if(quantized.begin(), quantized.end(),
                                       [&](const GgufItem& one) { return one.name == tensor.name; });
    if (replaced == quantized.end())
      items.push_back({.name = tensor.name, .sizes = tensor.sizes, .copied = &tensor});
    else if (replaced->sizes != tensor.sizes)
      objections.add("gguf: {} is [{}] in the source, but [{}] in the model", tensor.name,
                     fmt::join(tensor.sizes, ", "), fmt::join(replaced->sizes, ", "));
    else
      items.push_back(*replaced);
  }
  return items;
}

}  // namespace

std::vector<GgufItem> list_gguf_items(const QuantizationSimModel& sim, const GgufSource& source,
                                      const Names& names, Objections& objections) {
  std::vector<GgufItem> items;
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
    for (const std::string& name : found) items.push_back(item_of(sim, source, saved, name));
  }
  for (const GgufItem& tensor : items) check_item(tensor, sim, objections);
  return source.file ? items_from_file(items, source, objections) : items;
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

GgufEntry gguf_entry(const GgufItem& item, const QuantizationSimModel& sim, const GgufSource& source) {
  GgufEntry entry{.name = item.name, .sizes = item.sizes};
  if (item.copied != nullptr) {
    entry.type = item.copied->type;
    entry.bytes = [&source, item] { return source.file->bytes(*item.copied); };
  } else if (item.grid != nullptr) {
    entry.type = &ggml_type_of(*item.grid);
    entry.bytes = [&sim, item] {
      const Encoding encoding = sim.weight_encoding(item.weight);
      return pack_gguf(move_rows(encoding, item.heads), *item.grid);
    };
  } else {
    entry.type = &unquantized_type(sim.state(item.parameter).detach());
    entry.bytes = [&sim, item, type = entry.type] {
      const at::Tensor values = move_rows(sim.state(item.parameter).detach().cpu(), item.heads);
      return values.to(dtype_of(*type)).contiguous();
    };
  }
  return entry;
}

void expect_item(const GgufFile& file, const GgufItem& item, const QuantizationSimModel& sim,
                 const GgufSource& source) {
  const std::string& path = file.file->path();
  const GgufEntry entry = gguf_entry(item, sim, source);
  const GgufTensor* found = file.find(item.name);
  ADA_CHECK(found != nullptr, "{}: got no tensor {}, expected one", path, item.name);
  ADA_CHECK(found->type == entry.type && found->sizes == item.sizes, "{}: {}: got {} [{}], expected {} [{}]",
            path, item.name, found->type->name, fmt::join(found->sizes, ", "), entry.type->name,
            fmt::join(item.sizes, ", "));
  const at::Tensor bytes = file.bytes(*found);
  if (item.grid == nullptr)
    return expect_same(path, item.name, bytes, entry.bytes().flatten().view(at::kByte));
  const at::Tensor expected = move_rows(sim.dequantized_weight(item.weight).cpu(), item.heads);
  const at::Tensor by_row = bytes.view({item.sizes[0], -1});
  const auto rows = [&](int64_t first, int64_t count) {
    const at::Tensor values = unpack_gguf(by_row.narrow(0, first, count), *item.grid);
    expect_finite(path, item.name, values);
    return values.to(expected.scalar_type());
  };
  expect_rows(path, item.name, rows, expected);
}

}  // namespace adascale
