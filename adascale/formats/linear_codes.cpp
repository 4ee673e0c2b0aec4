#include "adascale/formats/linear_codes.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>

#include "adascale/core/error.h"

namespace adascale {

LinearCodes linear_codes(const Encoding& encoding) {
  const Grid& grid = encoding.grid;
  ADA_ASSERT(encoding.codes.dim() == 2 && (grid.channel_axis == 0 || !grid.per_channel()),
             "not the codes of a matrix [out, in]: " + encoding.name);
  const int64_t out = encoding.codes.size(0);
  const auto by_row = [&](const at::Tensor& values) {
    return grid.per_channel() ? values.reshape({out, -1}) : values.reshape({1, 1}).expand({out, 1});
  };
  const int64_t middle = grid.symmetric ? -grid.qmin() : 0;
  return {encoding.codes.to(at::kInt).add_(middle), by_row(encoding.scale),
          middle - by_row(encoding.offset).to(at::kLong)};
}

at::Tensor dequantize(const LinearCodes& linear, c10::ScalarType dtype) {
  const c10::ScalarType exact = at::toOpMathType(dtype);
  const at::Tensor groups = linear.codes.unflatten(1, {linear.scale.size(1), -1});
  const at::Tensor values =
      groups.to(exact).sub_(linear.zero.unsqueeze(2)).mul_(linear.scale.to(exact).unsqueeze(2));
  return values.flatten(1).to(dtype);
}

}  // namespace adascale
