#include "adascale/sim/json_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "adascale/core/error.h"
#include "adascale/core/words.h"

namespace adascale {
namespace {

/// A value for messages: its beginning, on one line.
std::string shown(const OrderedJson& json) {
  constexpr size_t kLongest = 60;
  const std::string text = json.dump(-1, ' ', true);
  return text.size() <= kLongest ? text : text.substr(0, kLongest) + "...";
}

/// A key for messages: unchanged unless it would break the line.
std::string shown_key(const std::string& key) {
  const std::string quoted = shown(key);
  return !key.empty() && quoted == '"' + key + '"' ? key : quoted;
}

/// The parser's callback. Refuses a repeated key, of which the parser would silently keep one
/// value, and depths at which recursion over the document would use up the stack.
class ShapeCheck {
 public:
  explicit ShapeCheck(const std::string& origin) : origin_(origin) {}

  bool operator()(int depth, OrderedJson::parse_event_t event, OrderedJson& parsed) {
    using Event = OrderedJson::parse_event_t;
    constexpr int kDeepest = 64;
    ADA_CHECK(depth <= kDeepest, "{}: JSON nested more than {} levels deep", origin_, kDeepest);
    if (event == Event::object_start) open_.emplace_back();
    if (event == Event::object_end) open_.pop_back();
    if (event == Event::key) {
      const std::string key = parsed.get<std::string>();
      ADA_CHECK(open_.back().insert(key).second, "{}: key '{}' stands twice in one object; keep one", origin_,
                shown_key(key));
    }
    return true;
  }

 private:
  const std::string& origin_;
  std::vector<std::set<std::string>> open_;  // keys of the objects being read
};

}  // namespace

OrderedJson parse_json(const std::string& text, const std::string& origin) {
  ShapeCheck check(origin);
  try {
    return OrderedJson::parse(text, [&](int depth, OrderedJson::parse_event_t event, OrderedJson& parsed) {
      return check(depth, event, parsed);
    });
  } catch (const OrderedJson::exception& error) {  // boundary: the parser's text, in one line of ours
    fail("{}: not valid JSON: {}", origin, reason_of(error));
  }
}

std::string read_text_file(const std::string& path, const std::string& what) {
  ADA_CHECK(std::filesystem::is_regular_file(path), "{}: no such file; expected {}", path, what);
  std::ifstream file(path, std::ios::binary);
  if (file.is_open() && file.peek() == std::ifstream::traits_type::eof() && !file.bad())
    return {};  // to a stream, nothing to insert is a failure
  std::ostringstream text;
  text << file.rdbuf();
  ADA_CHECK(file.good() && text.good(), "{}: cannot be read; expected {}", path, what);
  return text.str();
}

JsonReader::JsonReader(const OrderedJson& json, const JsonReader& parent, const std::string& step)
    : json_(&json), origin_(parent.origin_), place_(parent.place_) {
  if (!place_.empty() && step.front() != '[') place_ += '.';
  place_ += step;
}

std::string JsonReader::where() const {
  return place_.empty() ? origin_ : fmt::format("{}: {}", origin_, place_);
}

void JsonReader::refuse(const std::string& expected) const {
  fail("{}: got {}, expected {}", where(), shown(*json_), expected);
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members() const {
  if (!json_->is_object()) refuse("an object");
  std::vector<std::pair<std::string, JsonReader>> found;
  for (const auto& [key, value] : json_->items())
    found.emplace_back(key, JsonReader(value, *this, shown_key(key)));
  return found;
}

std::vector<std::pair<std::string, JsonReader>> JsonReader::members(
    const std::vector<std::string>& keys) const {
  auto found = members();
  for (const auto& [key, value] : found) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      fail("{}: unknown key '{}', expected {}{}", where(), shown_key(key), fmt::join(keys, ", "),
           did_you_mean(key, keys));
  }
  return found;
}

std::optional<JsonReader> JsonReader::find(const std::string& key) const {
  if (!json_->is_object()) refuse("an object");
  const auto member = json_->find(key);
  if (member == json_->end()) return std::nullopt;
  return JsonReader(*member, *this, shown_key(key));
}

JsonReader JsonReader::get(const std::string& key) const {
  const auto member = find(key);
  ADA_CHECK(member, "{}: key '{}' is missing", where(), key);
  return *member;
}

void JsonReader::require(const std::string& key) const {
  if (!json_->is_object()) refuse("an object");
  ADA_CHECK(json_->contains(key), "{}: key '{}' is missing; add it, if only as an empty section", where(),
            key);
}

std::vector<JsonReader> JsonReader::items() const {
  if (!json_->is_array()) refuse("a list");
  std::vector<JsonReader> found;
  for (size_t i = 0; i < json_->size(); ++i) found.push_back({(*json_)[i], *this, fmt::format("[{}]", i)});
  return found;
}

std::string JsonReader::text() const {
  if (!json_->is_string()) refuse("a string");
  return json_->get<std::string>();
}

double JsonReader::number() const {
  if (!json_->is_number()) refuse("a number");
  return json_->get<double>();
}

bool JsonReader::boolean() const {
  if (!json_->is_boolean()) refuse("true or false");
  return json_->get<bool>();
}

bool JsonReader::boolean_text() const {
  if (!json_->is_string() || (*json_ != "True" && *json_ != "False"))
    refuse("the string \"True\" or \"False\"");
  return *json_ == "True";
}

int64_t JsonReader::integer() const {
  const bool too_large = json_->is_number_unsigned() &&
                         json_->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!json_->is_number_integer() || too_large) refuse("an integer");
  return json_->get<int64_t>();
}

}  // namespace adascale
