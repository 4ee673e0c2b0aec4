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

at::Tensor scale_of_codes(const Encoding& encoding) {
  return encoding.block_scale_int ? *encoding.block_scale_int * encoding.scale : encoding.scale;
}

at::Tensor dequantize(const Encoding& encoding) {
  ADA_ASSERT(!encoding.minimum && !encoding.d, "not an affine encoding: " + encoding.name);
  at::Tensor values = split_groups(encoding.codes, encoding.grid).to(at::toOpMathType(encoding.source_dtype));
  if (!encoding.grid.symmetric) values.add_(encoding.offset);
  values.mul_(scale_of_codes(encoding));
  return join_groups(values, encoding.codes.sizes()).to(encoding.source_dtype);
}

Encoding encode_affine(const std::string& name, const at::Tensor& source, const at::Tensor& values,
                       const at::Tensor& scale, const at::Tensor& offset, const Grid& grid) {
  at::Tensor codes = nearest_steps(values, scale, offset, grid);
  if (!grid.symmetric) codes.sub_(offset);
  Encoding encoding;
  encoding.name = name;
  encoding.grid = grid;
  encoding.codes = join_groups(codes.to(code_dtype(grid)), source.sizes());
  encoding.scale = grid.scale_dtype == c10::ScalarType::Double ? scale : scale.to(c10::ScalarType::Float);
  if (grid.integer_block_scales()) {
    const auto [per_block, per_channel] = block_scales(encoding.scale, grid);
    ADA_CHECK(at::equal(per_block * per_channel, encoding.scale),
              "{}: values are too small for LPBQ with scales stored as {}; use float32 scales", name,
              c10::toString(grid.scale_dtype));
    encoding.block_scale_int = per_block.to(c10::ScalarType::Short);
    encoding.scale = per_channel;
  }
  encoding.offset = (grid.symmetric ? at::zeros_like(scale) : offset).to(c10::ScalarType::Int);
  encoding.source_dtype = source.scalar_type();
  encoding.sqnr_db = sqnr_db(source, dequantize(encoding));
  return encoding;
}

Encoding encode_rtn(const std::string& name, const at::Tensor& w, const Grid& grid, const Range& range) {
  check_grid(name, grid, w.sizes());
  check_finite(name, w);
  const at::Tensor scale = scale_of(range, grid, name);
  return encode_affine(name, w, split_groups(w, grid), scale, offset_of(range, scale, grid), grid);
}

double sqnr_db(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor exact = x.to(at::toOpMathType(x.scalar_type()));
  const double noise = sum_of_squares(exact - y);
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum_of_squares(exact) / noise);
}

}  // namespace adascale
