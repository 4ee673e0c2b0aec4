#include "adascale/quant/encoding.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "adascale/core/error.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/stored_scales.h"

namespace adascale {
namespace {

double sum_of_squares(const at::Tensor& x) {
  return x.square().sum(c10::ScalarType::Double).item<double>();
}

}  // namespace

std::vector<at::Tensor*> tensors_of(Encoding& encoding) {
  std::vector<at::Tensor*> tensors;
  for (at::Tensor* tensor : {&encoding.codes, &encoding.scale, &encoding.offset})
    if (tensor->defined()) tensors.push_back(tensor);
  if (encoding.minimum) tensors.push_back(&*encoding.minimum);
  for (auto& [name, part] : encoding.parts) tensors.push_back(&part);
  return tensors;
}

Encoding on(const Encoding& encoding, c10::Device device) {
  Encoding moved = encoding;
  for (at::Tensor* tensor : tensors_of(moved)) *tensor = tensor->to(device);
  return moved;
}

at::Tensor dequantize(const Encoding& encoding) {
  const Grid& grid = encoding.grid;
  at::Tensor values =
      grid.form->from_codes(split_groups(encoding.codes, grid), at::toOpMathType(encoding.source_dtype));
  if (!grid.symmetric && !encoding.minimum) values.add_(encoding.offset);
  values.mul_(encoding.scale);
  if (encoding.minimum) values.add_(*encoding.minimum);
  return join_groups(values, encoding.codes.sizes()).to(encoding.source_dtype);
}

at::Tensor as_kept(const at::Tensor& floats, const Grid& grid) {
  return grid.scale_dtype == c10::ScalarType::Double ? floats : floats.to(c10::ScalarType::Float);
}

Encoding stored_scales(const std::string& name, const Affine& affine, const Grid& grid) {
  Encoding encoding;
  encoding.name = name;
  encoding.grid = grid;
  encoding.scale = as_kept(affine.scale, grid);
  if (affine.minimum.defined()) encoding.minimum = as_kept(affine.minimum, grid);
  grid.form->keep(affine, encoding);
  encoding.offset =
      (affine.offset.defined() ? affine.offset : at::zeros_like(affine.scale)).to(c10::ScalarType::Int);
  return encoding;
}

Encoding encode_affine(const std::string& name, const at::Tensor& source, const at::Tensor& values,
                       const Affine& affine, const Grid& grid) {
  Encoding encoding = stored_scales(name, affine, grid);
  encoding.codes =
      join_groups(grid.form->to_codes(nearest_codes(values, affine, grid), grid), source.sizes());
  encoding.source_dtype = source.scalar_type();
  encoding.sqnr_db = sqnr_db(source, dequantize(encoding));
  return on(encoding, at::kCPU);
}

Encoding encode_rtn(const std::string& name, const at::Tensor& w, const Grid& grid, const Range& range) {
  check_grid(name, grid, w.sizes());
  check_finite(name, w);
  return encode_affine(name, w, split_groups(w, grid), affine_of(on(range, w.device()), grid, name), grid);
}

double sqnr_db(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor exact = x.to(at::toOpMathType(x.scalar_type()));
  const double noise = sum_of_squares(exact - y);
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum_of_squares(exact) / noise);
}

}  // namespace adascale
