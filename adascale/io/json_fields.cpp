#include "adascale/io/json_fields.h"

#include <limits>

#include "adascale/core/error.h"

namespace adascale {
namespace {

using c10::ScalarType;

struct DtypeRow {
  int number;  // torch/_export/serde/schema.py, class ScalarType
  ScalarType dtype;
};
constexpr DtypeRow kDtypes[] = {
    {1, ScalarType::Byte},          {2, ScalarType::Char},           {3, ScalarType::Short},
    {4, ScalarType::Int},           {5, ScalarType::Long},           {6, ScalarType::Half},
    {7, ScalarType::Float},         {8, ScalarType::Double},         {9, ScalarType::ComplexHalf},
    {10, ScalarType::ComplexFloat}, {11, ScalarType::ComplexDouble}, {12, ScalarType::Bool},
    {13, ScalarType::BFloat16},     {28, ScalarType::UInt16},        {29, ScalarType::Float8_e4m3fn},
    {30, ScalarType::Float8_e5m2},  {34, ScalarType::UInt32},        {35, ScalarType::UInt64},
};

}  // namespace

void check_nesting(const std::string& text, const std::string& what) {
  constexpr int kDeepest = 200;
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') in_string = !in_string;
    if (in_string) {
      i += text[i] == '\\';
      continue;
    }
    depth += (text[i] == '[' || text[i] == '{') - (text[i] == ']' || text[i] == '}');
    ADA_CHECK(depth <= kDeepest, "{}: JSON nested more than {} levels deep", what, kDeepest);
  }
}

Union read_union(const nlohmann::json& json, const char* what) {
  ADA_CHECK(json.is_object() && json.size() == 1, "{}: got '{}', expected an object with one member", what,
            json.dump().substr(0, 80));
  return {json.begin().key(), json.begin().value()};
}

double read_float(const nlohmann::json& json) {
  if (json.is_number()) return json.get<double>();
  const std::string text = json.get<std::string>();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  fail("got '{}', expected a number", text);
}

int64_t read_int(const nlohmann::json& json) {
  const bool is_too_large =
      json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  ADA_CHECK(json.is_number_integer() && !is_too_large, "got '{}', expected an integer",
            json.dump().substr(0, 80));
  return json.get<int64_t>();
}

std::vector<int64_t> read_ints(const nlohmann::json& list) {
  ADA_CHECK(list.is_array(), "got '{}', expected a list of integers", list.dump().substr(0, 80));
  std::vector<int64_t> ints;
  for (const nlohmann::json& item : list) ints.push_back(read_int(item));
  return ints;
}

int64_t read_fixed_int(const nlohmann::json& json, const char* what) {
  const Union size = read_union(json, what);
  ADA_CHECK(size.tag == "as_int", "{}: got a symbolic size, expected a fixed one", what);
  return read_int(size.held);
}

c10::ScalarType read_dtype(const nlohmann::json& json) {
  const int64_t number = read_int(json);
  for (const DtypeRow& row : kDtypes) {
    if (row.number == number) return row.dtype;
  }
  fail("dtype number {} of the export schema is not supported", number);
}

int schema_dtype(c10::ScalarType dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return row.number;
  }
  fail("dtype {} cannot be written into a .pt2", c10::toString(dtype));
}

}  // namespace adascale
