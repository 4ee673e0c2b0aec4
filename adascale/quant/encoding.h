#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "adascale/quant/affine.h"
#include "adascale/quant/grid.h"

namespace adascale {

/// The neutral result of quantizing one tensor, from which every export format is written. Its
/// tensors are in the host's memory, wherever the weight is.
///
///   x = scale * (code + offset)              affine; offset 0 when symmetric
///   x = scale * code + minimum               with a float minimum (Q4_1, Q5_1)
///   scale = block_scale_int * channel scale  LPBQ
///   scale = block_scale_int * d, minimum = -block_min_int * dmin   superblocks
struct Encoding {
  std::string name;  ///< fully qualified parameter name, or the activation's name
  Grid grid;
  at::Tensor codes;  ///< the weight's shape; int8 up to 8 bits when symmetric, uint8 when not, int16/int32
                     ///< above; undefined for activations
  /// fp32 (fp64 if stored so) values representable in grid.scale_dtype, shape Q of scale_sizes().
  at::Tensor scale;
  at::Tensor offset;                          ///< int32, shape Q
  std::optional<at::Tensor> minimum;          ///< float minimum of shape Q, the offset is then 0
  std::optional<at::Tensor> block_scale_int;  ///< int16 scale per block; LPBQ's `scale` is then per channel
  std::optional<at::Tensor> block_min_int;    ///< int16, of superblocks with a minimum
  std::optional<at::Tensor> d, dmin;  ///< fp32, one a superblock, of shape Q with superblocks for groups;
                                      ///< `scale` and `minimum` are then the products
  c10::ScalarType source_dtype = c10::ScalarType::Float;
  double sqnr_db = 0;  ///< of the dequantized weight against the source
};

/// A copy on a device, to dequantize there.
Encoding on(const Encoding& encoding, c10::Device device);

/// scale * (codes + offset), or scale * codes + minimum, computed in fp32 (fp64 for an fp64 source), in
/// `encoding.source_dtype` and the weight's shape.
at::Tensor dequantize(const Encoding& encoding);
/// The scale of the codes, one per group: `scale`, times `block_scale_int` for LPBQ.
at::Tensor scale_of_codes(const Encoding& encoding);

/// Codes of `w` on the grid of that range: round-to-nearest, half to even. Throws (user) when the
/// grid does not fit, and on NaN or infinity in `w`.
Encoding encode_rtn(const std::string& name, const at::Tensor& w, const Grid& grid, const Range& range);

/// Codes of `values` (split in groups) with that affine, as the encoding of `source`; records
/// its shape, dtype and SQNR.
Encoding encode_affine(const std::string& name, const at::Tensor& source, const at::Tensor& values,
                       const Affine& affine, const Grid& grid);

/// 10 log10(sum x^2 / sum (x - y)^2); +inf when equal.
double sqnr_db(const at::Tensor& x, const at::Tensor& y);

}  // namespace adascale
