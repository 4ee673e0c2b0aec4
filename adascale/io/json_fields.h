#pragma once
#include <c10/core/ScalarType.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace adascale {

/// The only member of a union of torch's export schema, `{"as_int": 3}`: its tag and its content.
struct Union {
  const std::string& tag;
  const nlohmann::json& held;
};

/// Throws Error naming `what` unless `json` is an object with exactly one member.
Union read_union(const nlohmann::json& json, const char* what);

/// Throws Error naming `what` where the text is nested deeper than any file we read: later code recurses.
void check_nesting(const std::string& text, const std::string& what);

/// A float of the export schema: a number, or "Infinity", "-Infinity", "NaN".
double read_float(const nlohmann::json& json);

/// An integer. The library would convert a float, which is undefined where it is too large.
int64_t read_int(const nlohmann::json& json);
std::vector<int64_t> read_ints(const nlohmann::json& list);

/// A fixed size of the export schema, `{"as_int": 3}`; an Error naming `what` for a symbolic one.
int64_t read_fixed_int(const nlohmann::json& json, const char* what);

/// c10's dtype for its number in the export schema; throws Error for an unknown one.
c10::ScalarType read_dtype(const nlohmann::json& json);
/// The inverse of `read_dtype`.
int schema_dtype(c10::ScalarType dtype);

}  // namespace adascale
