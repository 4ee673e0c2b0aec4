#pragma once
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "adascale/quant/forms/form.h"
#include "adascale/quant/forms/lpbq.h"
#include "adascale/quant/grid.h"
#include "error_text.h"

namespace adascale {

using testing::error_of;

constexpr auto kDouble = c10::ScalarType::Double;

inline at::Tensor random_weight(at::IntArrayRef sizes, c10::ScalarType dtype = c10::ScalarType::Float,
                                uint64_t seed = 1) {
  at::manual_seed(seed);
  return at::randn(sizes).mul_(0.1).to(dtype);
}

/// Same shape, dtype and bytes: -0.0 differs from 0.0.
inline bool same_bits(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor a = x.detach().contiguous(), b = y.detach().contiguous();
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

enum class Sharing { kTensor, kChannel, kGroup, kShortGroup, kLpbq, kMinimum, kSuperblock };

/// One way to quantize one weight: every combination is a test.
struct QuantCase {
  int bits;
  bool symmetric;
  Sharing sharing;
  c10::ScalarType dtype, scale_dtype;
  bool is_conv;
  bool signed_scale = false;

  Grid grid() const {
    Grid grid{.bits = bits, .symmetric = symmetric, .signed_scale = signed_scale, .scale_dtype = scale_dtype};
    if (sharing != Sharing::kTensor) grid.channel_axis = 0;
    if (sharing == Sharing::kLpbq) grid.form = lpbq_form(), grid.block_scale_bits = 4;
    if (sharing == Sharing::kGroup || sharing == Sharing::kLpbq) {
      grid.group_axis = 1;
      grid.group_size = 4;
    }
    if (sharing == Sharing::kShortGroup) grid.group_axis = 1, grid.group_size = 5;  // of 8 or 24
    if (sharing == Sharing::kMinimum) grid.form = minimum_form(), grid.group_axis = 1, grid.group_size = 4;
    if (sharing == Sharing::kSuperblock) {
      grid.form = superblock_form(), grid.block_scale_bits = 6, grid.superblock_size = 8;
      grid.group_axis = 1, grid.group_size = 4;
    }
    return grid;
  }
  at::Tensor weight() const {
    return is_conv ? random_weight({6, 8, 3, 3}, dtype) : random_weight({10, 24}, dtype);
  }
  int64_t input_axis() const { return is_conv ? 1 : -1; }
  std::string name() const {
    std::string text = to_string(grid()) + (is_conv ? " conv " : " linear ") + c10::toString(dtype) +
                       " scale " + c10::toString(scale_dtype);
    for (char& c : text) c = c == ' ' ? '_' : c;
    return text;
  }
};

inline std::vector<QuantCase> quant_cases() {
  using enum c10::ScalarType;
  std::vector<QuantCase> cases;
  for (int bits = 2; bits <= 8; ++bits)
    for (const bool symmetric : {true, false})
      for (const Sharing sharing :
           {Sharing::kTensor, Sharing::kChannel, Sharing::kGroup, Sharing::kShortGroup})
        for (const auto& [dtype, scale_dtype] :
             {std::pair{Float, Float}, {BFloat16, Float}, {Half, Half}, {Float, BFloat16}})
          cases.push_back({bits, symmetric, sharing, dtype, scale_dtype, bits % 2 == 0});
  for (const int bits : {2, 3, 4, 8})
    for (const auto scale_dtype : {Float, BFloat16, Half})
      cases.push_back({bits, true, Sharing::kLpbq, Float, scale_dtype, bits % 2 == 0});
  for (const int bits : {2, 3, 4, 8})
    for (const Sharing sharing : {Sharing::kTensor, Sharing::kChannel, Sharing::kGroup})
      for (const auto& [dtype, scale_dtype] : {std::pair{Float, Float}, {BFloat16, Half}, {Float, BFloat16}})
        cases.push_back({bits, true, sharing, dtype, scale_dtype, bits % 2 == 0, /*signed_scale=*/true});
  return cases;
}

/// Grids whose form finds the scales between the kernels' visits (RowScales::kByForm).
inline std::vector<QuantCase> cases_by_form() {
  using enum c10::ScalarType;
  std::vector<QuantCase> cases;
  for (const int bits : {2, 3, 4, 8})
    for (const auto& [dtype, scale_dtype] : {std::pair{Float, Half}, {BFloat16, Half}, {Float, Float}}) {
      cases.push_back({bits, false, Sharing::kMinimum, dtype, scale_dtype, bits % 2 == 0});
      for (const bool symmetric : {true, false})
        cases.push_back({bits, symmetric, Sharing::kSuperblock, dtype, scale_dtype, bits % 2 == 0});
    }
  return cases;
}

}  // namespace adascale
