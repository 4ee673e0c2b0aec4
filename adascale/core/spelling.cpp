#include "adascale/core/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace adascale {
namespace {

constexpr int kNoScope = -1;
std::atomic<Spelling> default_spelling{Spelling::kField};
thread_local int scope_spelling = kNoScope;

/// Options whose flag or C++ field is not their name.
struct OwnSpelling {
  std::string_view name, as_flag, field;
};
constexpr OwnSpelling kOwnSpellings[] = {
    {"param_bw", "param_bw", "default_param_bw"}, {"output_bw", "output_bw", "default_output_bw"},
    {"epochs", "epochs", "num_epochs"},           {"iterations", "iterations", "num_iterations"},
    {"config", "config", "config_file"},          {"formats", "format", "formats"},
};

const OwnSpelling* own_spelling(std::string_view name) {
  const auto* row = std::find_if(std::begin(kOwnSpellings), std::end(kOwnSpellings),
                                 [&](const OwnSpelling& own) { return own.name == name; });
  return row == std::end(kOwnSpellings) ? nullptr : row;
}

std::string own_flag_of(std::string_view name) {
  const OwnSpelling* own = own_spelling(name);
  return flag_of(own == nullptr ? name : own->as_flag);
}

bool is_list(std::string_view name) {
  return name == "formats" || name == "blocks";
}

std::string with_value(std::string_view name, const std::string& bare, const std::string& python,
                       const std::string& quoted) {
  switch (present_spelling()) {
    case Spelling::kFlag:
      return fmt::format("{} {}", option(name), bare);
    case Spelling::kKeyword:
      return fmt::format("{}={}", option(name), python);
    case Spelling::kField:
      return fmt::format("{} = {}", option(name), quoted);
    case Spelling::kJsonKey:
      return fmt::format("{}: {}", option(name), quoted);
  }
  return bare;
}

}  // namespace

SpellingScope::SpellingScope(Spelling spelling) : outer_(scope_spelling) {
  scope_spelling = static_cast<int>(spelling);
}
SpellingScope::~SpellingScope() {
  scope_spelling = outer_;
}

void set_default_spelling(Spelling spelling) {
  default_spelling = spelling;
}

Spelling present_spelling() {
  return scope_spelling == kNoScope ? default_spelling.load() : static_cast<Spelling>(scope_spelling);
}

std::string flag_of(std::string_view name) {
  std::string flag = fmt::format("--{}", name);
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  return flag;
}

std::string option(std::string_view name) {
  switch (present_spelling()) {
    case Spelling::kFlag:
      return own_flag_of(name);
    case Spelling::kField:
      if (const OwnSpelling* own = own_spelling(name)) return std::string(own->field);
      return std::string(name);
    case Spelling::kJsonKey:
      return fmt::format("\"{}\"", name);
    case Spelling::kKeyword:
      return std::string(name);
  }
  return std::string(name);
}

std::string option(std::string_view name, int64_t value) {
  const std::string text = std::to_string(value);
  return with_value(name, text, text, text);
}

std::string option(std::string_view name, bool value) {
  if (present_spelling() == Spelling::kFlag)
    return flag_of(value ? std::string(name) : fmt::format("no_{}", name));
  return with_value(name, "", value ? "True" : "False", value ? "true" : "false");
}

std::string option(std::string_view name, std::string_view value) {
  if (!is_list(name))
    return with_value(name, std::string(value), fmt::format("'{}'", value), fmt::format("\"{}\"", value));
  const char* brackets = present_spelling() == Spelling::kField ? "{}" : "[]";
  return with_value(name, std::string(value), fmt::format("['{}']", value),
                    fmt::format("{}\"{}\"{}", brackets[0], value, brackets[1]));
}

std::string how_to_exclude() {
  return fmt::format("{}: param_bw 32", option("layer_config"));
}

}  // namespace adascale
