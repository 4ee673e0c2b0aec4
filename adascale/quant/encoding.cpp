#include "adascale/quant/encoding.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "adascale/core/error.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/finite.h"
#include "adascale/quant/forms/form.h"
#include "adascale/quant/slices.h"
#include "adascale/quant/stored_scales.h"

namespace adascale {
namespace {

double sum_of_squares(const at::Tensor& x) {
  return x.square().sum(c10::ScalarType::Double).item<double>();
}

double decibels(double signal, double noise) {
  return noise == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal / noise);
}

}  // namespace

bool has_offset(const Encoding& encoding) {
  return !encoding.grid.symmetric && !encoding.minimum;
}

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

namespace {

at::Tensor dequantize_slice(const Encoding& encoding, const Slices& slices, size_t i) {
  const Grid& grid = encoding.grid;
  const at::Tensor codes = slices.weight(encoding.codes, i);
  at::Tensor values =
      grid.form->from_codes(split_groups(codes, grid), at::toOpMathType(encoding.source_dtype));
  if (has_offset(encoding)) values.add_(slices.scales(encoding.offset, i));
  values.mul_(slices.scales(encoding.scale, i));
  if (encoding.minimum) values.add_(slices.scales(*encoding.minimum, i));
  return join_groups(values, codes.sizes(), grid).to(encoding.source_dtype);
}

}  // namespace

at::Tensor dequantize(const Encoding& encoding) {
  const Slices slices(encoding.codes.sizes(), encoding.grid);
  if (slices.count() == 1) return dequantize_slice(encoding, slices, 0);
  const at::Tensor values =
      at::empty(encoding.codes.sizes(), encoding.scale.options().dtype(encoding.source_dtype));
  for (size_t i = 0; i < slices.count(); ++i)
    slices.weight(values, i).copy_(dequantize_slice(encoding, slices, i));
  return values;
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
  encoding.source_dtype = source.scalar_type();
  const Slices slices(source.sizes(), grid);
  for (size_t i = 0; i < slices.count(); ++i) {
    const at::Tensor codes = nearest_codes(slices.split(values, i), slices.affine(affine, i), grid);
    const at::Tensor slice =
        join_groups(grid.form->to_codes(codes, grid), slices.weight(source, i).sizes(), grid);
    if (i == 0 && slices.count() > 1) encoding.codes = at::empty(source.sizes(), slice.options());
    if (slices.count() > 1)
      slices.weight(encoding.codes, i).copy_(slice);
    else
      encoding.codes = slice.contiguous();
  }
  double signal = 0, noise = 0;
  for (size_t i = 0; i < slices.count(); ++i) {
    const at::Tensor x = slices.weight(source, i), exact = x.to(at::toOpMathType(x.scalar_type()));
    signal += sum_of_squares(exact);
    noise += sum_of_squares(exact - dequantize_slice(encoding, slices, i));
  }
  encoding.sqnr_db = decibels(signal, noise);
  return on(encoding, at::kCPU);
}

Encoding encode_rtn(const std::string& name, const at::Tensor& w, const Grid& grid, const Range& range) {
  check_grid(name, grid, w.sizes());
  check_finite(name, w);
  return encode_affine(name, w, split_groups(w, grid), affine_of(on(range, w.device()), grid, name), grid);
}

double sqnr_db(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor exact = x.to(at::toOpMathType(x.scalar_type()));
  return decibels(sum_of_squares(exact), sum_of_squares(exact - y));
}

}  // namespace adascale
