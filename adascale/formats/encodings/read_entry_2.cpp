#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/formats/encodings/reader.h"

namespace adascale {
namespace {

/// Numbers in nested lists, all of one shape.
struct Nest {
  std::vector<JsonReader> numbers;
  std::vector<int64_t> shape;
};

void gather(const JsonReader& reader, size_t depth, Nest& nest) {
  constexpr size_t kDeepest = 8;  // no weight has more axes
  if (!reader.is_list()) {
    ADA_CHECK(depth == nest.shape.size(), "{}: its lists are not all of one depth", reader.where());
    nest.numbers.push_back(reader);
    return;
  }
  const std::vector<JsonReader> items = reader.items();
  const auto length = static_cast<int64_t>(items.size());
  ADA_CHECK(length > 0 && depth < kDeepest, "{}: got a list that is empty or {} lists deep", reader.where(),
            kDeepest);
  if (depth == nest.shape.size() && nest.numbers.empty()) nest.shape.push_back(length);
  ADA_CHECK(depth < nest.shape.size() && length == nest.shape[depth],
            "{}: its lists are not all of one length", reader.where());
  for (const JsonReader& item : items) gather(item, depth + 1, nest);
}

Nest read_nest(const JsonReader& reader) {
  Nest nest;
  gather(reader, 0, nest);
  return nest;
}

/// "int4": signed, 4 bits.
void read_type(const JsonReader& reader, FileEntry& entry) {
  static const std::vector<std::string> known = {"int2",  "int4",  "int8",  "int16", "int32",
                                                 "uint2", "uint4", "uint8", "uint16"};
  const std::string type = reader.text();
  // AIMET itself writes widths for which ONNX has no type.
  const size_t digits = type.starts_with("uint") ? 4 : 3;
  const std::string number = type.size() > digits ? type.substr(digits) : "";
  const bool is_integer = (type.starts_with("int") || type.starts_with("uint")) && !number.empty() &&
                          number.size() <= 2 && number.find_first_not_of("0123456789") == std::string::npos;
  const int bits = is_integer ? std::stoi(number) : 0;
  ADA_CHECK((bits >= 2 && bits <= 16) || type == "int32",
            "{}: got '{}', expected an integer type such as {}: float quantization is not simulated",
            reader.where(), type, fmt::join(known, ", "));
  entry.bits = bits;
  entry.is_signed = digits == 3;
}

std::vector<int64_t> read_block_scales(const Nest& nest) {
  constexpr int64_t kLargest = 1 << 14;  // 16 bits less the two of the smallest codes
  std::vector<int64_t> scales;
  for (const JsonReader& number : nest.numbers) {
    const int64_t scale = number.integer();
    ADA_CHECK(scale >= 1 && scale <= kLargest, "{}: got {}, expected 1 to {}", number.where(), scale,
              kLargest);
    scales.push_back(scale);
  }
  return scales;
}

void read_lpbq(const JsonReader& blocks, const JsonReader& channels, FileEntry& entry) {
  const Nest nest = read_nest(blocks);
  entry.block_scales = read_block_scales(nest);
  entry.shape = nest.shape;
  for (const JsonReader& number : read_nest(channels).numbers) entry.scales.push_back(read_scale(number));
}

void read_scales(const JsonReader& reader, FileEntry& entry) {
  if (reader.is_object()) {
    if (const auto zero = reader.find("x_zero_point"))
      for (const JsonReader& number : read_nest(*zero).numbers)
        ADA_CHECK(number.number() == 0, "{}: got {}, expected 0", number.where(), number.number());
    return read_lpbq(reader.get("x"), reader.get("x_scale"), entry);
  }
  const Nest nest = read_nest(reader);
  entry.shape = nest.shape;
  for (const JsonReader& number : nest.numbers) entry.scales.push_back(read_scale(number));
}

void read_zero_points(const JsonReader& reader, FileEntry& entry) {
  const int64_t qmin = entry.is_signed ? -(int64_t{1} << (entry.bits - 1)) : 0;
  const auto zero_points = reader.find("y_zero_point");
  if (!zero_points) {
    entry.lowest = {qmin};
    ADA_CHECK(entry.block_scales.empty() || entry.is_signed, "{}: LPBQ is of a signed grid", entry.where);
    return;
  }
  for (const JsonReader& number : read_nest(*zero_points).numbers)
    entry.lowest.push_back(qmin - read_offset(number));
  ADA_CHECK(entry.lowest.size() == 1 || entry.lowest.size() == entry.scales.size(),
            "{}: got {} scales and {} zero points, expected as many of both", entry.where,
            entry.scales.size(), entry.lowest.size());
  ADA_CHECK(entry.block_scales.empty() || entry.lowest == std::vector<int64_t>(entry.lowest.size(), qmin),
            "{}: LPBQ is of a symmetric grid: its zero points must be 0", entry.where);
}

}  // namespace

FileEntry read_entry_2(const JsonReader& reader) {
  FileEntry entry{.where = reader.where(), .name = reader.get("name").text()};
  entry.where += fmt::format(" ({})", entry.name);
  read_type(reader.get("output_dtype"), entry);
  entry.says_axis = true;
  if (const auto axis = reader.find("axis")) entry.axis = axis->integer();
  if (const auto block_size = reader.find("block_size")) {
    entry.block_size = block_size->integer();
    ADA_CHECK(entry.block_size > 0 && entry.axis,
              "{}: got block_size {}, expected a positive one and an axis", entry.where, entry.block_size);
  }
  if (const auto blocks = reader.find("per_block_int_scale"))
    read_lpbq(*blocks, reader.get("per_channel_float_scale"), entry);
  else
    read_scales(reader.get("y_scale"), entry);
  read_zero_points(reader, entry);
  check_ends(entry);
  return entry;
}

}  // namespace adascale
