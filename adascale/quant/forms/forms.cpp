#include "adascale/quant/forms/form.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/round.h>
#include <fmt/ranges.h>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"
#include "adascale/quant/encoding.h"
#include "adascale/quant/exact_division.h"

namespace adascale {

const GridForm* mxfp4_form();
const GridForm* nvfp4_form();

namespace {

c10::ScalarType code_dtype(const Grid& grid) {
  if (grid.bits <= 8) return grid.symmetric ? c10::ScalarType::Char : c10::ScalarType::Byte;
  return grid.symmetric ? c10::ScalarType::Short : c10::ScalarType::Int;
}

}  // namespace

const std::vector<const GridForm*>& grid_forms() {
  static const std::vector<const GridForm*> forms{
      plain_form(),       // integers
      lpbq_form(),        // AIMET's
      minimum_form(),     // GGUF's Q4_1, Q5_1
      superblock_form(),  // GGUF's K-quants
      mxfp4_form(),       // OCP's
      nvfp4_form(),       // NVIDIA's
  };
  return forms;
}

std::vector<std::string> names_of_grids() {
  std::vector<std::string> names;
  for (const GridForm* form : grid_forms())
    if (form->is_asked_by_name()) names.push_back(form->name());
  return names;
}

const GridForm* grid_form_named(const std::string& name) {
  for (const GridForm* form : grid_forms())
    if (form->is_asked_by_name() && form->name() == name) return form;
  fail("{}: got '{}', expected one of {}", option("grid"), name, fmt::join(names_of_grids(), ", "));
}

at::Tensor& GridForm::round_out(at::Tensor& out, const at::Tensor& x) const {
  return at::round_out(out, x);
}

at::Tensor GridForm::to_codes(const at::Tensor& numbers, const Grid& grid) const {
  return numbers.to(code_dtype(grid));
}

at::Tensor GridForm::from_codes(const at::Tensor& codes, c10::ScalarType dtype) const {
  return codes.to(dtype);
}

at::Tensor GridForm::symmetric_scale(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const {
  return divide_exactly(max, highest(grid))
      .maximum(divide_exactly(min, lowest(grid)))
      .clamp_min(smallest_scale(grid.scale_dtype));
}

Range GridForm::search(const Range& widest, const Grid& grid, const RangeSearch& weight) const {
  return search_range(widest, grid, weight.error_on(grid));
}

ScaleFloats GridForm::floats(const Encoding& encoding) const {
  ADA_ASSERT(encoding.parts.empty(), name() + ": a form with parts says which are its floats");
  return {encoding.scale, encoding.minimum.value_or(at::Tensor())};
}

void GridForm::replace_floats(Encoding& encoding, const ScaleFloats& floats) const {
  ADA_ASSERT(encoding.parts.empty(), name() + ": a form with parts replaces its floats itself");
  const Grid& grid = encoding.grid;
  encoding.scale = as_kept(as_stored(floats.scale, grid), grid);
  if (encoding.minimum)
    encoding.minimum = as_kept(floats.minimum.to(grid.scale_dtype), grid) + 0;  // files keep no -0.0
}

int64_t count_scales(at::IntArrayRef weight_sizes, const Grid& grid) {
  return c10::multiply_integers(scale_sizes(weight_sizes, grid));
}

int64_t bytes_of_bits(int64_t count, int64_t bits) {
  return (count * bits + 7) / 8;
}

}  // namespace adascale
