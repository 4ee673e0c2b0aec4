#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "adascale/io/ggml_types.h"
#include "adascale/quant/grid.h"

namespace adascale {

/// A type of GGUF for which weights are trained.
struct GgufGrid {
  const char* name;  ///< ggml's: "Q4_K"
  int bits;
  bool symmetric;
  int64_t group_size;
  int block_scale_bits;  ///< of superblocks of 256; 0: none
  uint32_t file_type;    ///< general.file_type of files that mostly hold it
  const char* fallback;  ///< for rows that are no multiple of 256, like llama.cpp; nullptr: multiples of 32

  bool has_superblocks() const { return block_scale_bits > 0; }
  /// Whether rows are whole blocks of it.
  bool fits_rows_of(int64_t length) const { return length % (has_superblocks() ? 256 : 32) == 0; }
};

/// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
const std::vector<GgufGrid>& gguf_grids();
/// nullptr when unknown.
const GgufGrid* gguf_grid_named(const std::string& name);
/// llama.cpp's type for unquantized tensors: F32 for norms and biases, which have one axis; for
/// others BF16 if they already are, F16 if its range holds them, else F32.
const GgmlType& unquantized_type(const at::Tensor& values);
/// The type's grid for a weight [out, in].
Grid grid_of(const GgufGrid& type);
/// The type with that grid, where several of the type's groups may share one scale; nullptr: none.
const GgufGrid* gguf_type_of(const Grid& grid);
/// The type with those bits: the 32-block type of that symmetry, else the only one; nullptr: none.
const GgufGrid* gguf_type_for(int bits, bool symmetric);
/// ggml's row of it.
const GgmlType& ggml_type_of(const GgufGrid& type);

}  // namespace adascale
