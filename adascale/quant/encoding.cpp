#include "adascale/quant/encoding.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "adascale/core/error.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/finite.h"

namespace adascale {
namespace {

c10::ScalarType code_dtype(const Grid& grid) {
  if (grid.bits <= 8) return grid.symmetric ? c10::ScalarType::Char : c10::ScalarType::Byte;
  return grid.symmetric ? c10::ScalarType::Short : c10::ScalarType::Int;
}

double sum_of_squares(const at::Tensor& x) {
  return x.square().sum(c10::ScalarType::Double).item<double>();
}

}  // namespace

Encoding on(const Encoding& encoding, c10::Device device) {
  Encoding moved = encoding;
  for (at::Tensor* tensor : {&moved.codes, &moved.scale, &moved.offset})
    if (tensor->defined()) *tensor = tensor->to(device);
  for (auto* tensor : {&moved.minimum, &moved.block_scale_int, &moved.block_min_int, &moved.d, &moved.dmin})
    if (*tensor) *tensor = (*tensor)->to(device);
  return moved;
}

at::Tensor scale_of_codes(const Encoding& encoding) {
  return encoding.grid.integer_block_scales() ? *encoding.block_scale_int * encoding.scale : encoding.scale;
}

at::Tensor dequantize(const Encoding& encoding) {
  at::Tensor values = split_groups(encoding.codes, encoding.grid).to(at::toOpMathType(encoding.source_dtype));
  if (!encoding.grid.symmetric && !encoding.minimum) values.add_(encoding.offset);
  values.mul_(scale_of_codes(encoding));
  if (encoding.minimum) values.add_(*encoding.minimum);
  return join_groups(values, encoding.codes.sizes()).to(encoding.source_dtype);
}

namespace {

at::Tensor as_kept(const at::Tensor& floats, const Grid& grid) {
  return grid.scale_dtype == c10::ScalarType::Double ? floats : floats.to(c10::ScalarType::Float);
}

void keep_superblocks(const Affine& affine, Encoding& encoding) {
  encoding.block_scale_int = affine.scale_parts.integers.to(c10::ScalarType::Short);
  encoding.d = as_kept(affine.scale_parts.floats, encoding.grid);
  if (!affine.minimum.defined()) return;
  encoding.block_min_int = affine.minimum_parts.integers.to(c10::ScalarType::Short);
  encoding.dmin = as_kept(affine.minimum_parts.floats, encoding.grid);
}

void keep_block_scales(Encoding& encoding) {
  const auto [per_block, per_channel] = block_scales(encoding.scale, encoding.grid);
  ADA_CHECK(at::equal(per_block * per_channel, encoding.scale),
            "{}: values are too small for LPBQ with scales stored as {}; use float32 scales", encoding.name,
            c10::toString(encoding.grid.scale_dtype));
  encoding.block_scale_int = per_block.to(c10::ScalarType::Short);
  encoding.scale = per_channel;
}

}  // namespace

Encoding encode_affine(const std::string& name, const at::Tensor& source, const at::Tensor& values,
                       const Affine& affine, const Grid& grid) {
  Encoding encoding;
  encoding.name = name;
  encoding.grid = grid;
  encoding.codes = join_groups(nearest_codes(values, affine, grid).to(code_dtype(grid)), source.sizes());
  encoding.scale = as_kept(affine.scale, grid);
  if (affine.minimum.defined()) encoding.minimum = as_kept(affine.minimum, grid);
  if (grid.has_superblocks()) keep_superblocks(affine, encoding);
  if (grid.integer_block_scales()) keep_block_scales(encoding);
  encoding.offset =
      (affine.offset.defined() ? affine.offset : at::zeros_like(affine.scale)).to(c10::ScalarType::Int);
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
