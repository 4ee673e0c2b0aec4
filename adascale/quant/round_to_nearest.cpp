#include "adascale/quant/round_to_nearest.h"

#include <ATen/ops/empty.h>

#include "adascale/quant/affine.h"
#include "adascale/quant/fake_quantize.h"
#include "adascale/quant/slices.h"

namespace adascale {

at::Tensor round_to_nearest(const at::Tensor& w, const Grid& grid, const Range& range) {
  const Affine affine = affine_of(on(range, w.device()), grid);
  const Slices slices(w.sizes(), grid);
  const at::Tensor values = at::empty(w.sizes(), w.options());
  for (size_t i = 0; i < slices.count(); ++i) {
    const at::Tensor slice = slices.weight(w, i), split = split_groups(slice.to(at::kFloat), grid);
    slices.weight(values, i).copy_(
        join_groups(fake_quantize(split, slices.affine(affine, i), grid), slice.sizes(), grid));
  }
  return values;
}

}  // namespace adascale
