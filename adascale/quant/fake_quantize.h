#pragma once
#include <ATen/core/Tensor.h>

#include "adascale/quant/affine.h"
#include "adascale/quant/grid.h"

namespace adascale {

/// scale * clamp(round(w / scale), lowest, highest), half to even, where lowest..highest is
/// qmin..qmax when symmetric and offset..offset + 2^b - 1 otherwise. Any floating dtype and device,
/// computed in fp32 at least; `scale` and `offset` broadcast against `w`. A symmetric grid ignores
/// `offset`, which may be undefined.
///
/// Gradients pass straight through the rounding (g incoming, x = w/scale, c the clamped
/// code, m 1 inside the grid):
///   d/dw = g*m;  d/dscale = sum g*(round(x)-x where m, else c);  d/doffset = scale * sum g*(1-m)
at::Tensor fake_quantize(const at::Tensor& w, const at::Tensor& scale, const at::Tensor& offset,
                         const Grid& grid);

/// The same with any affine: with a minimum scale * clamp(round((w - minimum) /
/// scale), 0, 2^b - 1) + minimum.
at::Tensor fake_quantize(const at::Tensor& w, const Affine& affine, const Grid& grid);

/// c = clamp(round(w / scale), lowest, highest), fp32 (fp64 for fp64 input), no gradient: code + offset.
at::Tensor nearest_steps(const at::Tensor& w, const at::Tensor& scale, const at::Tensor& offset,
                         const Grid& grid);

/// The codes themselves, likewise.
at::Tensor nearest_codes(const at::Tensor& w, const Affine& affine, const Grid& grid);

/// `value`, with gradient 1 to `x`: for roundings that gradients pass through.
at::Tensor straight_through(const at::Tensor& x, const at::Tensor& value);
/// round(x) with gradient 1: for the rounding of the offset.
at::Tensor round_straight_through(const at::Tensor& x);

/// Per-tensor activation fake-quantization with fixed encodings, through
/// aten::fake_quantize_per_tensor_affine, the operator of an exported program: scale is a
/// float, offset an integer <= 0.
at::Tensor fake_quantize_activation(const at::Tensor& x, double scale, int64_t offset, int bits,
                                    bool symmetric);

}  // namespace adascale
