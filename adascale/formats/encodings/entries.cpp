#include "adascale/formats/encodings/entries.h"

#include <ATen/TensorOperators.h>
#include <fmt/format.h>

#include "adascale/core/error.h"

namespace adascale {
namespace {

using nlohmann::json;

/// min and max are fp32 products, like AIMET's.
json affine_entry(const EncodingRecord& record, float scale, int64_t lowest) {
  const int64_t highest = lowest + (int64_t{1} << record.bits) - 1;
  return {{"bitwidth", record.bits},
          {"dtype", "int"},
          {"is_symmetric", record.symmetric ? "True" : "False"},
          {"max", scale * static_cast<float>(highest)},
          {"min", scale * static_cast<float>(lowest)},
          {"offset", lowest},
          {"scale", scale}};
}

template <class T>
std::vector<T> flat(const at::Tensor& tensor) {
  ADA_ASSERT(tensor.is_cpu(), "encodings are in the host's memory");
  const at::Tensor held = tensor.contiguous();
  return {held.const_data_ptr<T>(), held.const_data_ptr<T>() + held.numel()};
}

/// Nested lists, one level per axis; a number for a tensor without axes.
template <class T>
json nested(const at::Tensor& tensor) {
  if (tensor.dim() == 0) return tensor.item<T>();
  if (tensor.dim() == 1) return flat<T>(tensor);
  json rows = json::array();
  for (int64_t i = 0; i < tensor.size(0); ++i) rows.push_back(nested<T>(tensor[i]));
  return rows;
}

/// One scale per channel is written flat, with the axis; blocks keep the parameter's axes.
template <class T>
json scales_2(const at::Tensor& tensor, const EncodingRecord& record) {
  return record.block_size == 0 && tensor.dim() > 0 ? json(flat<T>(tensor)) : nested<T>(tensor);
}

std::string type_2(const EncodingRecord& record) {
  return fmt::format("{}int{}", record.is_signed ? "" : "u", record.bits);
}

void add_axis(json& entry, const EncodingRecord& record) {
  if (record.block_size > 0) {
    entry["axis"] = record.block_axis;
    entry["block_size"] = record.block_size;
  } else if (record.channel_axis >= 0) {
    entry["axis"] = record.channel_axis;
  }
}

/// 2.1.0: the scales are themselves integers with one scale per channel: along its axis, counted
/// from the end as AIMET does, or, for a stack's channels, one per block of all blocks.
json scaled_scales(const EncodingRecord& record) {
  json scales = {{"x", nested<int64_t>(record.block_scale)}};
  const int64_t channels = record.channel_scale.numel();
  if (record.channel_scale.size(record.channel_axis) == channels) {
    scales["x_scale"] = flat<float>(record.channel_scale);
    scales["axis"] = record.channel_axis - record.channel_scale.dim();
  } else {
    scales["x_scale"] = nested<float>(record.channel_scale);
    scales["axis"] = record.block_axis;
    scales["block_size"] = record.block_scale.size(record.block_axis);
  }
  return scales;
}

}  // namespace

json legacy_entry(const EncodingRecord& record) {
  return affine_entry(record, record.scale.item<float>(), record.lowest.item<int64_t>());
}

void write_legacy_entries(std::ostream& out, const EncodingRecord& record) {
  const auto scales = flat<float>(record.scale);
  const auto lowest = flat<int64_t>(record.lowest);
  for (size_t i = 0; i < scales.size(); ++i)
    out << (i == 0 ? "[\n" : ",\n") << affine_entry(record, scales[i], lowest[i]).dump();
  out << "]";
}

json entry_1_0_0(const EncodingRecord& record) {
  json entry = {{"name", record.name}, {"dtype", "INT"}, {"is_sym", record.symmetric}};
  if (record.is_lpbq()) {
    const int bits = record.bits + record.block_scale_bits;
    entry["enc_type"] = "LPBQ";
    entry["bw"] = bits;
    entry["compressed_bw"] = record.bits;
    entry["scale"] = flat<float>(record.channel_scale);
    entry["offset"] = std::vector<int64_t>(record.channel_scale.numel(), -(int64_t{1} << (bits - 1)));
    entry["per_block_int_scale"] = flat<int64_t>(record.block_scale);
  } else {
    entry["enc_type"] = record.block_size > 0      ? "PER_BLOCK"
                        : record.channel_axis >= 0 ? "PER_CHANNEL"
                                                   : "PER_TENSOR";
    entry["bw"] = record.bits;
    entry["scale"] = flat<float>(record.scale);
    entry["offset"] = flat<int64_t>(record.lowest);
  }
  if (record.block_size > 0) entry["block_size"] = record.block_size;
  return entry;
}

json entry_2(const EncodingRecord& record, const std::string& version) {
  json entry = {{"name", record.name}, {"output_dtype", type_2(record)}};
  add_axis(entry, record);
  if (record.is_lpbq() && version == "2.0.0") {
    entry["per_block_int_scale"] = nested<int64_t>(record.block_scale);
    entry["per_channel_float_scale"] = nested<float>(record.channel_scale);
    return entry;
  }
  entry["y_scale"] = record.is_lpbq() ? scaled_scales(record) : scales_2<float>(record.scale, record);
  const int64_t qmin = record.is_signed ? -(int64_t{1} << (record.bits - 1)) : 0;
  const at::Tensor zero_point = qmin - record.lowest;
  if (zero_point.any().item<bool>()) entry["y_zero_point"] = scales_2<int64_t>(zero_point, record);
  return entry;
}

}  // namespace adascale
