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
struct Encoding {
  std::string name;  ///< fully qualified parameter name, or the activation's name
  Grid grid;
  /// The weight's shape; undefined for activations. Integers: int8 up to 8 bits when symmetric, uint8 when
  /// not, int16/int32 above.
  at::Tensor codes;
  /// fp32 (fp64 if stored so) values representable in grid.scale_dtype, shape Q of scale_sizes().
  at::Tensor scale;
  at::Tensor offset;                  ///< int32, shape Q
  std::optional<at::Tensor> minimum;  ///< float minimum of shape Q; the offset is then 0
  Parts parts;  ///< the stored numbers that scale and minimum are products of; their names are the form's
  c10::ScalarType source_dtype = c10::ScalarType::Float;
  double sqnr_db = 0;  ///< of the dequantized weight against the source
};

/// Whether its codes are shifted: neither symmetric nor with a float minimum.
bool has_offset(const Encoding& encoding);

/// The tensors of an encoding, those of shape Q and the like too.
std::vector<at::Tensor*> tensors_of(Encoding& encoding);

/// A copy on a device, to dequantize there.
Encoding on(const Encoding& encoding, c10::Device device);

/// scale * (codes + offset), or scale * codes + minimum, computed in fp32 (fp64 for an fp64 source), in
/// `encoding.source_dtype` and the weight's shape.
at::Tensor dequantize(const Encoding& encoding);
/// Codes of `w` on the grid of that range: round-to-nearest, half to even. Throws (user) when the
/// grid does not fit, and on NaN or infinity in `w`.
Encoding encode_rtn(const std::string& name, const at::Tensor& w, const Grid& grid, const Range& range);

/// Codes of `values` (split in groups) with that affine, as the encoding of `source`; records
/// its shape, dtype and SQNR.
Encoding encode_affine(const std::string& name, const at::Tensor& source, const at::Tensor& values,
                       const Affine& affine, const Grid& grid);

/// Floats in the dtype of an encoding's scales.
at::Tensor as_kept(const at::Tensor& floats, const Grid& grid);

/// 10 log10(sum x^2 / sum (x - y)^2); +inf when equal.
double sqnr_db(const at::Tensor& x, const at::Tensor& y);

}  // namespace adascale
