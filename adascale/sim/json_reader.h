#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace adascale {

/// Keeps members in written order.
using OrderedJson = nlohmann::ordered_json;

/// The document in `text`; messages call it `origin`. Throws Error (user) on a syntax
/// error, naming its line and column, on a repeated key in one object, and on nesting
/// deeper than in any format we read.
OrderedJson parse_json(const std::string& text, const std::string& origin);

/// A whole small file. Throws Error (user) when it cannot be read; `what` names its purpose.
std::string read_text_file(const std::string& path, const std::string& what);

/// A value of a JSON document that knows its place. A wrong value throws Error (user): origin,
/// place, the value found, the expected one. Refers to the document, which must outlive it.
class JsonReader {
 public:
  JsonReader(const OrderedJson& document, std::string origin)
      : json_(&document), origin_(std::move(origin)) {}

  /// The members of an object, in written order.
  std::vector<std::pair<std::string, JsonReader>> members() const;
  /// The same for an object that may only have these keys.
  std::vector<std::pair<std::string, JsonReader>> members(const std::vector<std::string>& keys) const;
  /// The member of that key; nothing when there is none. Throws unless it is an object.
  std::optional<JsonReader> find(const std::string& key) const;
  /// The member of that key; throws when it is missing.
  JsonReader get(const std::string& key) const;
  bool is_object() const { return json_->is_object(); }
  bool is_list() const { return json_->is_array(); }
  bool is_null() const { return json_->is_null(); }
  bool is_boolean() const { return json_->is_boolean(); }
  /// Throws unless the object has the key.
  void require(const std::string& key) const;
  std::vector<JsonReader> items() const;
  std::string text() const;
  double number() const;
  bool boolean() const;
  /// AIMET's booleans: the strings "True" and "False".
  bool boolean_text() const;
  int64_t integer() const;

  /// "defaults.ops.is_symmetric"; empty at the top.
  const std::string& place() const { return place_; }
  /// "config.json: defaults.ops".
  std::string where() const;

 private:
  JsonReader(const OrderedJson& json, const JsonReader& parent, const std::string& step);
  [[noreturn]] void refuse(const std::string& expected) const;

  const OrderedJson* json_;
  std::string origin_, place_;
};

}  // namespace adascale
