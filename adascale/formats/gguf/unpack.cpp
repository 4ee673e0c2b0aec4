#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <map>

#include "adascale/core/error.h"
#include "adascale/formats/gguf/blocks.h"

// The inverse of blocks.cpp, written from ggml's dequantize_row_*: x = d q, x = d q + m, and of superblocks
// x = d s q - dmin m, all in fp32. Products of d, s and q are exact there, so that the order of factors is free.
namespace adascale {
namespace {

/// A row's blocks, of which the next bytes are taken: uint8 [blocks, bytes].
class Blocks {
 public:
  explicit Blocks(at::Tensor bytes) : bytes_(std::move(bytes)) {}

  at::Tensor take(int64_t count) {
    const at::Tensor taken = bytes_.narrow(1, at_, count);
    at_ += count;
    return taken;
  }
  /// fp32 [blocks, 1].
  at::Tensor take_half() { return take(2).contiguous().view(at::kHalf).to(at::kFloat); }

 private:
  at::Tensor bytes_;
  int64_t at_ = 0;
};

/// The fields of `bits` that bytes hold: `inner` bytes have first their lowest fields, then the next ones.
at::Tensor fields(const at::Tensor& bytes, int64_t inner, int bits) {
  const at::Tensor split = bytes.unflatten(1, {-1, 1, inner});
  std::vector<at::Tensor> found;
  for (int shift = 0; shift < 8; shift += bits)
    found.push_back(split.bitwise_right_shift(shift).bitwise_and((1 << bits) - 1));
  return at::cat(found, 2).flatten(1);
}

at::Tensor with_top(const at::Tensor& low, const at::Tensor& top, int bits) {
  return low.bitwise_or(top.bitwise_left_shift(bits));
}

/// Codes counted from `lowest` on, fp32 [blocks, groups, elements].
at::Tensor numbers(const at::Tensor& codes, int64_t lowest, int64_t groups = 1) {
  return codes.to(at::kFloat).add_(lowest).unflatten(1, {groups, -1});
}

at::Tensor signed_bytes(const at::Tensor& bytes) {
  return bytes.contiguous().view(at::kChar);
}

/// What a block's elements are: scale * number, less the minimum: [blocks, groups or 1].
struct Scaled {
  at::Tensor scale, minimum;
};

/// Q4_K's and Q5_K's 8 scales and 8 minima of 6 bits: the first four in the low bits of bytes 0-3 and 4-7, the last
/// four in the nibbles of bytes 8-11 with the top bits of the former.
Scaled scales_of_12_bytes(const at::Tensor& d, const at::Tensor& dmin, const at::Tensor& bytes) {
  const at::Tensor last = bytes.narrow(1, 8, 4);
  const auto join = [&](int64_t at, const at::Tensor& nibbles) {
    const at::Tensor first = bytes.narrow(1, at, 4);
    return at::cat({first.bitwise_and(63), with_top(nibbles, first.bitwise_right_shift(6), 4)}, 1);
  };
  return {d * join(0, last.bitwise_and(15)), dmin * join(4, last.bitwise_right_shift(4))};
}

at::Tensor scaled(const at::Tensor& numbers, const Scaled& by) {
  at::Tensor values = numbers * by.scale.unsqueeze(2);
  if (by.minimum.defined()) values.sub_(by.minimum.unsqueeze(2));
  return values;
}

using Unpack = at::Tensor (*)(Blocks&);

/// Each reads the pieces in the order of the block.
const std::map<std::string, Unpack>& unpackers() {
  static const std::map<std::string, Unpack> rows = {
      {"Q4_0",
       [](Blocks& b) {
         const at::Tensor d = b.take_half();
         return scaled(numbers(fields(b.take(16), 16, 4), -8), {d, {}});
       }},
      {"Q4_1",
       [](Blocks& b) {
         const at::Tensor d = b.take_half(), m = b.take_half();
         return scaled(numbers(fields(b.take(16), 16, 4), 0), {d, -m});
       }},
      {"Q5_0",
       [](Blocks& b) {
         const at::Tensor d = b.take_half(), top = fields(b.take(4), 1, 1);
         return scaled(numbers(with_top(fields(b.take(16), 16, 4), top, 4), -16), {d, {}});
       }},
      {"Q5_1",
       [](Blocks& b) {
         const at::Tensor d = b.take_half(), m = b.take_half(), top = fields(b.take(4), 1, 1);
         return scaled(numbers(with_top(fields(b.take(16), 16, 4), top, 4), 0), {d, -m});
       }},
      {"Q8_0",
       [](Blocks& b) {
         const at::Tensor d = b.take_half();
         return scaled(numbers(signed_bytes(b.take(32)), 0), {d, {}});
       }},
      {"Q2_K",
       [](Blocks& b) {
         const at::Tensor scales = b.take(16), codes = fields(b.take(64), 32, 2);
         const at::Tensor d = b.take_half(), dmin = b.take_half();
         return scaled(numbers(codes, 0, 16),
                       {d * scales.bitwise_and(15), dmin * scales.bitwise_right_shift(4)});
       }},
      {"Q3_K",
       [](Blocks& b) {
         const at::Tensor top = fields(b.take(32), 32, 1), low = fields(b.take(64), 32, 2);
         const at::Tensor nibbles = fields(b.take(8), 8, 4), pairs = fields(b.take(4), 4, 2);
         const at::Tensor scales = with_top(nibbles, pairs, 4).to(at::kFloat).sub_(32);
         return scaled(numbers(with_top(low, top, 2), -4, 16), {b.take_half() * scales, {}});
       }},
      {"Q4_K",
       [](Blocks& b) {
         const at::Tensor d = b.take_half(), dmin = b.take_half();
         const Scaled by = scales_of_12_bytes(d, dmin, b.take(12));
         return scaled(numbers(fields(b.take(128), 32, 4), 0, 8), by);
       }},
      {"Q5_K",
       [](Blocks& b) {
         const at::Tensor d = b.take_half(), dmin = b.take_half();
         const Scaled by = scales_of_12_bytes(d, dmin, b.take(12));
         const at::Tensor top = fields(b.take(32), 32, 1);
         return scaled(numbers(with_top(fields(b.take(128), 32, 4), top, 4), 0, 8), by);
       }},
      {"Q6_K",
       [](Blocks& b) {
         const at::Tensor low = fields(b.take(128), 64, 4), top = fields(b.take(64), 32, 2);
         const at::Tensor scales = signed_bytes(b.take(16)).to(at::kFloat);
         return scaled(numbers(with_top(low, top, 4), -32, 16), {b.take_half() * scales, {}});
       }},
  };
  return rows;
}

}  // namespace

at::Tensor unpack_gguf(const at::Tensor& rows, const GgufGrid& type) {
  Blocks blocks(rows.view({-1, ggml_type_of(type).bytes}));
  return unpackers().at(type.name)(blocks).reshape({rows.size(0), -1});
}

}  // namespace adascale
