#include "adascale/formats/gguf/fit.h"

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/formats/gguf/types.h"
#include "adascale/quant/forms/form.h"

namespace adascale {
namespace {

void check_layer(const Layer& layer, const at::Tensor& weight, const Grid& asked) {
  const bool is_matrix = weight.dim() == 2 && layer.axes.channel == 0 && layer.axes.stack.empty();
  ADA_CHECK(is_matrix, "{}: a {} is no matrix that a GGUF holds; exclude the layer ({})", layer.name,
            layer.kind->name, how_to_exclude());
  ADA_CHECK(asked.form != lpbq_form(), "{}: a GGUF has no LPBQ; use {}", layer.name,
            option("decompressed_bw", 0));
  ADA_CHECK(asked.form->has_integer_codes(), "{}: no grid of {} is written to a GGUF; use {}", layer.name,
            asked.form->name(), option("grid", "int"));
  ADA_CHECK(weight.size(1) % 32 == 0,
            "{}: rows of {} are no blocks of 32, as every type of GGUF's has; exclude the layer ({})",
            layer.name, weight.size(1), how_to_exclude());
}

const GgufGrid& choose_type(const std::string& target, const Layer& layer, const Grid& asked) {
  const GgufGrid* named = gguf_grid_named(target);
  if (named != nullptr && named->bits == asked.bits) return *named;
  const GgufGrid* type = gguf_type_for(asked.bits, asked.symmetric);
  ADA_CHECK(type != nullptr, "{}: GGUF has no type of {} bits; use 4, 5 or 8, or 2, 3 or 6", layer.name,
            asked.bits);
  return *type;
}

/// A scale of more than one block is repeated, as often for each.
void check_groups(const Layer& layer, const GgufGrid& type, const Grid& asked, int64_t row) {
  ADA_CHECK(asked.group_size % 32 == 0, "{}: {} {} is no multiple of {}'s blocks of 32; use 32, or 0",
            layer.name, option("group_size"), asked.group_size, type.name);
  ADA_CHECK(row % asked.group_size == 0, "{}: gguf: rows of {} are no multiple of {} {}; use 32", layer.name,
            row, option("group_size"), asked.group_size);
}

/// A note for the user about the choice.
std::string describe(const std::string& target, const GgufGrid& wanted, const GgufGrid& type,
                     const Grid& asked, const Grid& grid, int64_t row) {
  std::string text = fmt::format("gguf: {}", type.name);
  if (&wanted != &type)
    text += fmt::format(" instead of {}, rows of {} being no multiple of 256", wanted.name, row);
  else if (!target.empty() && target != type.name)
    text += fmt::format(", not {}, for {} bits", target, asked.bits);
  if (target != wanted.name && asked.symmetric != type.symmetric)
    text += type.symmetric ? ", around zero" : ", with a minimum";
  if (asked.group_size != grid.group_size) text += fmt::format(", a scale for {} weights", grid.group_size);
  return text;
}

}  // namespace

FittedGrid fit_gguf(const std::string& target, const Layer& layer, const at::Tensor& weight,
                    const Grid& asked) {
  check_layer(layer, weight, asked);
  const int64_t row = weight.size(1);
  const GgufGrid& wanted = choose_type(target, layer, asked);
  const GgufGrid& type = wanted.fits_rows_of(row) ? wanted : *gguf_grid_named(wanted.fallback);
  const bool sets_groups = !type.has_superblocks() && asked.group_size > 0;
  if (sets_groups) check_groups(layer, type, asked, row);
  if (gguf_type_of(asked) == &type) return {asked};
  Grid grid = grid_of(type);
  if (sets_groups) grid.group_size = asked.group_size;
  grid.signed_scale = asked.signed_scale && grid.symmetric && grid.is_plain();
  return {grid, describe(target, wanted, type, asked, grid, row)};
}

}  // namespace adascale
