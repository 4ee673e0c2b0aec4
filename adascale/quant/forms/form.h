#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "adascale/quant/affine.h"
#include "adascale/quant/grid.h"
#include "adascale/quant/search.h"

namespace adascale {

struct Encoding;

/// Bits and group size that a form fixes.
struct FixedGrid {
  int bits;
  int64_t group_size;
};

/// Who finds the scales where the kernels' rows (kernels/weight_rows.h) train a weight: the kernels themselves, or
/// GridForm::affine between two visits. Nowhere: the rows don't train such a grid.
enum class RowScales { kNowhere, kByKernels, kByForm };

/// The floats that an encoding's scales, and minima, are multiples of: of shape Q, but that along the group axis one may
/// serve several groups in a row.
struct ScaleFloats {
  at::Tensor scale;
  at::Tensor minimum;  ///< undefined without
};

/// The way a grid's numbers are stored: which number a code stands for, and what its scales and
/// minima are made of. A form is one file in quant/forms/ and one row of grid_forms(); everything
/// else asks the grid's form. Its functions take grids of this form only. Q is the shape of
/// scale_sizes(); ranges and scales are fp32, or fp64 for an fp64 weight.
class GridForm {
 public:
  virtual ~GridForm() = default;

  virtual std::string name() const = 0;  ///< "lpbq"
  /// For lists and help, with the way to ask for it.
  virtual std::string description() const = 0;
  /// Whether the option `grid` takes the name; other forms are asked for by other options, or by files.
  virtual bool is_asked_by_name() const { return false; }
  /// Such a form is symmetric too.
  virtual std::optional<FixedGrid> fixed() const { return std::nullopt; }
  /// "int4 symmetric LPBQ per group of 64".
  virtual std::string describe(const Grid& grid) const = 0;
  /// Throws (user), beginning with `name`, where the grid's numbers do not fit the form or the weight.
  virtual void check(const std::string& name, const Grid& grid, at::IntArrayRef weight_sizes) const {}

  /// The least and the largest number of a symmetric grid, which the scale multiplies.
  virtual double lowest(const Grid& grid) const { return static_cast<double>(grid.qmin()); }
  virtual double highest(const Grid& grid) const { return static_cast<double>(grid.qmax()); }
  /// Codes are integers, which the scale multiplies once they are shifted.
  virtual bool has_integer_codes() const { return true; }
  /// The distance of the grid's numbers around each weight: a signed step is measured in it.
  virtual at::Tensor code_length(const at::Tensor& w, const at::Tensor& scale) const { return scale; }
  /// The numbers nearest to x = w / scale, half to even, without an end; `out` may be `x`.
  virtual at::Tensor& round_out(at::Tensor& out, const at::Tensor& x) const;
  /// Codes of numbers on the grid, in the dtype that they are stored in, and back to numbers of `dtype`.
  virtual at::Tensor to_codes(const at::Tensor& numbers, const Grid& grid) const;
  virtual at::Tensor from_codes(const at::Tensor& codes, c10::ScalarType dtype) const;

  /// What is stored for a range min..max of shape Q. Differentiable: straight through each
  /// rounding of a stored number.
  virtual Affine affine(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const = 0;
  /// The scale that reaches min <= 0 <= max from zero with the numbers of a symmetric grid.
  virtual at::Tensor symmetric_scale(const at::Tensor& min, const at::Tensor& max, const Grid& grid) const;
  /// The range in or around `widest` with the least error on the weight, where training may start.
  virtual Range search(const Range& widest, const Grid& grid, const RangeSearch& weight) const;
  /// Keeps what `affine` was made of in the encoding of codes, scale, offset and minimum.
  virtual void keep(const Affine& affine, Encoding& encoding) const {}

  /// Layers that read the same value have one float in common, Grid::shared_scale, which is found before
  /// all else from the largest |w| of their weights and stays.
  virtual bool is_shared_by_siblings() const { return false; }
  virtual double shared_scale(double largest) const { return 1; }

  /// Whether these floats may take any value while codes and integers stay: neither powers of two nor shared by layers.
  virtual bool has_free_floats() const { return false; }
  /// The floats of an encoding, where they are free. By default its scales and minima: forms with parts override both.
  virtual ScaleFloats floats(const Encoding& encoding) const;
  /// Puts others in their place, as stored, and scales and minima that are made of them.
  virtual void replace_floats(Encoding& encoding, const ScaleFloats& floats) const;

  virtual RowScales row_scales() const { return RowScales::kNowhere; }
  /// Bytes of a weight's scales, offsets and minima, packed.
  virtual int64_t scale_bytes(at::IntArrayRef weight_sizes, const Grid& grid) const = 0;
};

/// LPBQ: integer scales of the groups times one float per channel (lpbq.h).
const GridForm* lpbq_form();
/// A float minimum instead of the integer offset: GGUF's Q4_1 and Q5_1.
const GridForm* minimum_form();
/// GGUF's K-quants: scales and minima of the groups are integers times floats of a superblock.
const GridForm* superblock_form();

/// The table of forms.
const std::vector<const GridForm*>& grid_forms();

/// The row of a name that the option `grid` takes. Throws (user), listing these names.
const GridForm* grid_form_named(const std::string& name);
std::vector<std::string> names_of_grids();

/// The number of scales, and the bytes of that many numbers of some bits, for scale_bytes().
int64_t count_scales(at::IntArrayRef weight_sizes, const Grid& grid);
int64_t bytes_of_bits(int64_t count, int64_t bits);

}  // namespace adascale
