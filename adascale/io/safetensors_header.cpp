#include "adascale/io/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "adascale/core/error.h"
#include "adascale/io/json_fields.h"

namespace adascale {
namespace {

using c10::ScalarType;
using nlohmann::json;

struct DtypeRow {
  const char* name;
  ScalarType dtype;
};
constexpr DtypeRow kDtypes[] = {
    {"F64", ScalarType::Double},
    {"F32", ScalarType::Float},
    {"F16", ScalarType::Half},
    {"BF16", ScalarType::BFloat16},
    {"I64", ScalarType::Long},
    {"I32", ScalarType::Int},
    {"I16", ScalarType::Short},
    {"I8", ScalarType::Char},
    {"U8", ScalarType::Byte},
    {"U16", ScalarType::UInt16},
    {"U32", ScalarType::UInt32},
    {"U64", ScalarType::UInt64},
    {"BOOL", ScalarType::Bool},
    {"F8_E4M3", ScalarType::Float8_e4m3fn},
    {"F8_E5M2", ScalarType::Float8_e5m2},
    {"C64", ScalarType::ComplexFloat},
};

/// Refuses a name that occurs twice in one object; the plain parser accepts it.
json parse_without_duplicates(const std::string& path, const std::string& text) {
  std::vector<std::set<std::string>> open;
  const auto see = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      const std::string key = parsed.get<std::string>();
      ADA_CHECK(open.back().insert(key).second, "{}: the header names '{}' twice", path, key);
    }
    return true;
  };
  return json::parse(text, see);
}

ScalarType read_dtype(const std::string& path, const std::string& name, const std::string& dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (dtype == row.name) return row.dtype;
  }
  fail("{}: tensor '{}' has dtype '{}', which is not known", path, name, dtype);
}

/// Bytes of a tensor of that shape; an Error when a size is negative or the product overflows, that of the strides too
/// of a tensor without elements.
uint64_t byte_count(const std::string& path, const TensorEntry& entry) {
  int64_t bytes = static_cast<int64_t>(c10::elementSize(entry.dtype));
  bool is_empty = false;
  for (int64_t size : entry.sizes) {
    ADA_CHECK(size >= 0 && !__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes),
              "{}: tensor '{}' has an impossible shape", path, entry.name);
    is_empty = is_empty || size == 0;
  }
  return is_empty ? 0 : static_cast<uint64_t>(bytes);
}

TensorEntry read_entry(const std::string& path, const std::string& name, const json& described,
                       uint64_t data_size) {
  TensorEntry entry;
  entry.name = name;
  entry.dtype = read_dtype(path, name, described.at("dtype").get<std::string>());
  for (const json& size : described.at("shape")) {
    ADA_CHECK(size.is_number_unsigned() && size.get<uint64_t>() <= INT64_MAX,
              "{}: tensor '{}' has an impossible shape", path, name);
    entry.sizes.push_back(size.get<int64_t>());
  }
  const json& offsets = described.at("data_offsets");
  ADA_CHECK(offsets.size() == 2 && offsets[0].is_number_unsigned() && offsets[1].is_number_unsigned(),
            "{}: tensor '{}' has data_offsets {}, expected two positions", path, name, offsets.dump());
  entry.begin = offsets[0].get<uint64_t>(), entry.end = offsets[1].get<uint64_t>();
  ADA_CHECK(entry.begin <= entry.end && entry.end <= data_size,
            "{}: tensor '{}' lies at {} to {}, outside the file's {} bytes of data: truncated?", path, name,
            entry.begin, entry.end, data_size);
  const uint64_t bytes = byte_count(path, entry);
  ADA_CHECK(entry.end - entry.begin == bytes, "{}: tensor '{}' takes {} bytes, expected {} for its shape",
            path, name, entry.end - entry.begin, bytes);
  return entry;
}

void check_overlaps(const std::string& path, const std::vector<TensorEntry>& entries) {
  for (size_t i = 1; i < entries.size(); ++i) {
    ADA_CHECK(entries[i].begin >= entries[i - 1].end, "{}: tensors '{}' and '{}' overlap", path,
              entries[i - 1].name, entries[i].name);
  }
}

}  // namespace

std::vector<TensorEntry> parse_safetensors_header(const std::string& path, const std::string& text,
                                                  uint64_t data_size) {
  std::vector<TensorEntry> entries;
  check_nesting(text, path);
  try {
    const json header = parse_without_duplicates(path, text);
    for (const auto& [name, described] : header.items()) {
      if (name != "__metadata__") entries.push_back(read_entry(path, name, described, data_size));
    }
  } catch (const json::exception& error) {  // boundary: the JSON library
    fail("{}: the .safetensors header is not valid: {}", path, reason_of(error));
  }
  std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_overlaps(path, entries);
  return entries;
}

std::string safetensors_dtype(ScalarType dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return row.name;
  }
  fail("dtype {} cannot be written into a .safetensors file", c10::toString(dtype));
}

}  // namespace adascale
