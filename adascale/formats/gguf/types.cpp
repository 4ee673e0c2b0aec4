#include "adascale/formats/gguf/types.h"

#include <ATen/ops/isfinite.h>

#include "adascale/quant/forms/form.h"

namespace adascale {

const std::vector<GgufGrid>& gguf_grids() {
  // llama.cpp falls back to IQ4_NL for Q2_K and Q3_K: a table of 16 values, which nothing here trains.
  static const std::vector<GgufGrid> grids = {
      {"Q4_0", 4, true, 32, 0, 2, nullptr},  {"Q4_1", 4, false, 32, 0, 3, nullptr},
      {"Q5_0", 5, true, 32, 0, 8, nullptr},  {"Q5_1", 5, false, 32, 0, 9, nullptr},
      {"Q8_0", 8, true, 32, 0, 7, nullptr},  {"Q2_K", 2, false, 16, 4, 10, "Q4_0"},
      {"Q3_K", 3, true, 16, 6, 11, "Q4_0"},  {"Q4_K", 4, false, 32, 6, 14, "Q5_0"},
      {"Q5_K", 5, false, 32, 6, 16, "Q5_1"}, {"Q6_K", 6, true, 16, 8, 18, "Q8_0"},
  };
  return grids;
}

const GgufGrid* gguf_grid_named(const std::string& name) {
  for (const GgufGrid& type : gguf_grids())
    if (name == type.name) return &type;
  return nullptr;
}

const GgmlType& unquantized_type(const at::Tensor& values) {
  if (values.dim() < 2) return ggml_type_named("F32");
  if (values.scalar_type() == at::kBFloat16) return ggml_type_named("BF16");
  const bool is_half = at::isfinite(values.to(at::kHalf)).all().item<bool>();
  return ggml_type_named(is_half ? "F16" : "F32");
}

namespace {

const GridForm* form_of(const GgufGrid& type) {
  if (type.has_superblocks()) return superblock_form();
  return type.symmetric ? plain_form() : minimum_form();
}

}  // namespace

Grid grid_of(const GgufGrid& type) {
  return {.bits = type.bits,
          .symmetric = type.symmetric,
          .channel_axis = 0,
          .group_axis = 1,
          .group_size = type.group_size,
          .scale_dtype = c10::ScalarType::Half,
          .form = form_of(type),
          .block_scale_bits = type.block_scale_bits,
          .superblock_size = type.has_superblocks() ? 256 : 0};
}

const GgufGrid* gguf_type_of(const Grid& grid) {
  for (const GgufGrid& type : gguf_grids()) {
    Grid of_type = grid_of(type);
    // Blocks may repeat a scale.
    const bool repeats = !type.has_superblocks() && grid.group_size > 0 && grid.group_size % 32 == 0;
    if (repeats) of_type.group_size = grid.group_size;
    of_type.signed_scale = grid.signed_scale && of_type.symmetric && of_type.is_plain();
    if (of_type == grid) return &type;
  }
  return nullptr;
}

const GgufGrid* gguf_type_for(int bits, bool symmetric) {
  const GgufGrid* found = nullptr;
  for (const GgufGrid& type : gguf_grids()) {
    if (type.bits != bits) continue;
    if (!type.has_superblocks() && type.symmetric == symmetric) return &type;
    if (found == nullptr) found = &type;
  }
  return found;
}

const GgmlType& ggml_type_of(const GgufGrid& type) {
  return ggml_type_named(type.name);
}

}  // namespace adascale
