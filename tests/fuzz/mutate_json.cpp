#include <nlohmann/json.hpp>
#include <vector>

#include "fuzz/mutate.h"

namespace adascale::fuzz {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepest = 200;  // writing a document recurses

/// The document and all values inside it; none where it is nested too deep.
std::vector<Json*> values_of(Json& document) {
  std::vector<Json*> values = {&document};
  size_t level_end = 1;
  for (size_t i = 0, depth = 0; i < values.size(); ++i) {
    if (i == level_end && ++depth > kDeepest) return {};
    if (i == level_end) level_end = values.size();
    if (values[i]->is_structured())
      for (Json& child : *values[i]) values.push_back(&child);
  }
  return values;
}

Json literal(Random& random) {
  static const std::vector<Json> literals = {nullptr,
                                             true,
                                             0,
                                             1,
                                             -1,
                                             2,
                                             7,
                                             4096,
                                             int64_t{1} << 31,
                                             INT64_MAX,
                                             INT64_MIN,
                                             UINT64_MAX,
                                             1e308,
                                             -0.25,
                                             "",
                                             "x",
                                             "inf",
                                             "NaN",
                                             "a\nb",
                                             "-1",
                                             "L['self']",
                                             Json::array(),
                                             Json::object(),
                                             "as_int"};
  return literals[random() % literals.size()];
}

std::string any_key(const Json& object, Random& random) {
  return object.empty() ? ""
                        : std::next(object.begin(), static_cast<int64_t>(random() % object.size())).key();
}

void erase_one(Json& from, Random& random) {
  if (from.is_object() && !from.empty()) from.erase(any_key(from, random));
  if (from.is_array() && !from.empty()) from.erase(random() % from.size());
}

void insert(Json& into, const Json& value, Random& random) {
  if (into.is_object()) into[mutate_bytes(any_key(into, random))] = value;
  if (into.is_array()) into.insert(into.begin() + static_cast<int64_t>(random() % (into.size() + 1)), value);
}

void rename_one(Json& object, Random& random) {
  if (!object.is_object() || object.empty()) return;
  const std::string key = any_key(object, random);
  const Json value = object[key];
  object.erase(key);
  object[mutate_bytes(key)] = value;
}

void nudge(Json& value, Random& random) {
  if (value.is_string()) value = mutate_bytes(value.get<std::string>());
  if (value.is_boolean()) value = !value.get<bool>();
  if (value.is_number_integer()) value = value.get<int64_t>() ^ (int64_t{1} << random() % 63);
  if (value.is_number_float()) value = value.get<double>() * -1e3;
}

void change(const std::vector<Json*>& values, Random& random) {
  Json& value = *values[random() % values.size()];
  const Json other = *values[random() % values.size()];
  switch (random() % 7) {
    case 0:
      value = other;
      break;
    case 1:
      value = literal(random);
      break;
    case 2:
      erase_one(value, random);
      break;
    case 3:
      insert(value, other, random);
      break;
    case 4:
      rename_one(value, random);
      break;
    default:
      nudge(value, random);
  }
}

}  // namespace

std::string mutate_bytes(std::string text) {
  const size_t size = text.size();
  text.resize(size + 16);
  text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
  return text;
}

std::string mutate_json(const std::string& text, Random& random) {
  Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
    const std::vector<Json*> values = values_of(document);
    if (document.is_discarded() || values.empty()) return mutate_bytes(text);
    change(values, random);
  }
  if (values_of(document).empty()) return mutate_bytes(text);
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace adascale::fuzz
