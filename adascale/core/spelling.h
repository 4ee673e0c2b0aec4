#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace adascale {

/// How the caller writes an option, and so how messages name it.
enum class Spelling {
  kField,    ///< C++: default_param_bw
  kKeyword,  ///< Python: param_bw
  kFlag,     ///< the command: --param-bw
  kJsonKey,  ///< a JSON document: "param_bw"
};

/// While it lives, messages made on this thread use its spelling.
class SpellingScope {
 public:
  explicit SpellingScope(Spelling spelling);
  ~SpellingScope();
  SpellingScope(const SpellingScope&) = delete;
  SpellingScope& operator=(const SpellingScope&) = delete;

 private:
  int outer_;
};

/// The spelling outside every scope: kField, until a package for another language sets its own.
void set_default_spelling(Spelling spelling);

/// The spelling of messages made on this thread now.
Spelling present_spelling();

/// `param_bw` -> `--param-bw`.
std::string flag_of(std::string_view name);

/// An option as the caller writes it. `name`: as the options tables declare it ("param_bw").
std::string option(std::string_view name);
/// The option with a value: "--param-bw 4", "param_bw=4", "default_param_bw = 4", "\"param_bw\": 4".
/// A switch: "--no-symmetric", "symmetric=False". `formats` is a list: "--format hf", "formats=['hf']".
std::string option(std::string_view name, int64_t value);
std::string option(std::string_view name, bool value);
std::string option(std::string_view name, std::string_view value);
inline std::string option(std::string_view name, int value) {
  return option(name, static_cast<int64_t>(value));
}
inline std::string option(std::string_view name, const char* value) {
  return option(name, std::string_view(value));
}
inline std::string option(std::string_view name, const std::string& value) {
  return option(name, std::string_view(value));
}

/// How a message says that a layer may stay in full precision: "layer_config: param_bw 32".
std::string how_to_exclude();

}  // namespace adascale
