#include "adascale/formats/gguf/blocks.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <map>

#include "adascale/core/error.h"
#include "adascale/quant/forms/superblocks.h"

// The layouts are ggml's (block_q4_0 and so on); tests/python/test_gguf.py compares
// them with gguf's own reader.
namespace adascale {
namespace {

/// The parts of blocks: [out, blocks, ...]. Codes, block scales and minima are uint8, counted from 0.
struct Parts {
  at::Tensor codes;           ///< [out, blocks, elements]
  at::Tensor d, m;            ///< fp16 as bytes, [out, blocks, 2]; m: minimum, or dmin of superblocks
  at::Tensor scales, minima;  ///< [out, blocks, groups], of superblocks
};

at::Tensor as_bytes(const at::Tensor& floats) {
  return floats.to(at::kHalf).contiguous().view(at::kByte);
}

at::Tensor from_zero(const at::Tensor& codes, int64_t lowest) {
  return (codes.to(at::kShort) - lowest).to(at::kByte);
}

/// One value per block of 32, [out, blocks, 1], from one per group of several blocks.
at::Tensor per_block(const at::Tensor& values, int64_t blocks) {
  return values.repeat_interleave(blocks / values.size(1), 1);
}

Parts parts_of(const Encoding& e, const GgufGrid& type) {
  const int64_t length = ggml_type_of(type).block, out = e.codes.size(0), blocks = e.codes.size(1) / length;
  Parts parts;
  parts.codes = from_zero(e.codes.reshape({out, blocks, length}), e.grid.qmin());
  if (!type.has_superblocks()) {
    parts.d = as_bytes(per_block(e.scale, blocks));
    if (e.minimum) parts.m = as_bytes(per_block(*e.minimum, blocks));
    return parts;
  }
  const int64_t lowest = type.symmetric ? -(int64_t{1} << (type.block_scale_bits - 1)) : 0;
  parts.d = as_bytes(e.parts.at(kScaleFloat));
  parts.scales = from_zero(e.parts.at(kScaleInt).reshape({out, blocks, -1}), lowest);
  if (!e.minimum) return parts;
  parts.m = as_bytes(e.parts.at(kMinimumFloat));
  parts.minima = from_zero(e.parts.at(kMinimumInt).reshape({out, blocks, -1}), 0);
  return parts;
}

at::Tensor low(const at::Tensor& x, int bits) {
  return x.bitwise_and((1 << bits) - 1);
}
at::Tensor high(const at::Tensor& x, int bits) {
  return x.bitwise_right_shift(bits);
}

/// Packs values of few bits into bytes: the last axis is [.., fields, inner], and a byte holds the
/// fields of one inner position, the first in its lowest bits.
at::Tensor pack(const at::Tensor& x, int64_t fields, int64_t inner, int bits) {
  const at::Tensor split = x.unflatten(-1, {-1, fields, inner});
  at::Tensor packed = split.select(-2, 0).clone();
  for (int64_t field = 1; field < fields; ++field)
    packed.bitwise_or_(split.select(-2, field).bitwise_left_shift(field * bits));
  return packed.flatten(-2);
}

at::Tensor nibbles(const at::Tensor& codes) {
  return pack(low(codes, 4), 2, 16, 4);
}

/// The 8 scales and 8 minima of Q4_K and Q5_K, 6 bits each, in 12 bytes.
at::Tensor pack_scales_and_minima(const Parts& p) {
  const auto first = [](const at::Tensor& x) { return x.narrow(-1, 0, 4); };
  const auto last = [](const at::Tensor& x) { return x.narrow(-1, 4, 4); };
  const auto with_top = [&](const at::Tensor& x) {
    return first(x).bitwise_or(high(last(x), 4).bitwise_left_shift(6));
  };
  return at::cat({with_top(p.scales), with_top(p.minima),
                  low(last(p.scales), 4).bitwise_or(low(last(p.minima), 4).bitwise_left_shift(4))},
                 -1);
}

/// The 16 scales of Q3_K, 6 bits each, in 12 bytes.
at::Tensor pack_q3_scales(const at::Tensor& scales) {
  return at::cat({pack(low(scales, 4), 2, 8, 4), pack(high(scales, 4), 4, 4, 2)}, -1);
}

using Pack = std::vector<at::Tensor> (*)(const Parts&);

/// The pieces of a block, in order.
const std::map<std::string, Pack>& packers() {
  static const std::map<std::string, Pack> rows = {
      {"Q4_0",
       [](const Parts& p) {
         return std::vector{p.d, nibbles(p.codes)};
       }},
      {"Q4_1",
       [](const Parts& p) {
         return std::vector{p.d, p.m, nibbles(p.codes)};
       }},
      {"Q5_0",
       [](const Parts& p) {
         return std::vector{p.d, pack(high(p.codes, 4), 8, 1, 1), nibbles(p.codes)};
       }},
      {"Q5_1",
       [](const Parts& p) {
         return std::vector{p.d, p.m, pack(high(p.codes, 4), 8, 1, 1), nibbles(p.codes)};
       }},
      // Signed bytes: codes that count from -128 have their top bit flipped.
      {"Q8_0",
       [](const Parts& p) {
         return std::vector{p.d, p.codes.bitwise_xor(0x80)};
       }},
      {"Q2_K",
       [](const Parts& p) {
         return std::vector{p.scales.bitwise_or(p.minima.bitwise_left_shift(4)), pack(p.codes, 4, 32, 2), p.d,
                            p.m};
       }},
      {"Q3_K",
       [](const Parts& p) {
         return std::vector{pack(high(p.codes, 2), 8, 32, 1), pack(low(p.codes, 2), 4, 32, 2),
                            pack_q3_scales(p.scales), p.d};
       }},
      {"Q4_K",
       [](const Parts& p) {
         return std::vector{p.d, p.m, pack_scales_and_minima(p), pack(p.codes, 2, 32, 4)};
       }},
      {"Q5_K",
       [](const Parts& p) {
         return std::vector{p.d, p.m, pack_scales_and_minima(p), pack(high(p.codes, 4), 8, 32, 1),
                            pack(low(p.codes, 4), 2, 32, 4)};
       }},
      {"Q6_K",
       [](const Parts& p) {
         return std::vector{pack(low(p.codes, 4), 2, 64, 4), pack(high(p.codes, 4), 4, 32, 2),
                            p.scales.bitwise_xor(0x80), p.d};
       }},
  };
  return rows;
}

}  // namespace

at::Tensor pack_gguf(const Encoding& encoding, const GgufGrid& type) {
  const at::Tensor blocks = at::cat(packers().at(type.name)(parts_of(encoding, type)), -1);
  ADA_ASSERT(blocks.size(-1) == ggml_type_of(type).bytes, std::string("a block of ") + type.name);
  return blocks.flatten(1).contiguous();
}

}  // namespace adascale
