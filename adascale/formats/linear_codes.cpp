#include "adascale/formats/linear_codes.h"

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

}  // namespace adascale
