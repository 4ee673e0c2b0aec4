#pragma once
#include <fmt/format.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace adascale {

/// Escapes as \xNN whatever would break the line, control a terminal or is not UTF-8: names in
/// foreign files may hold such bytes.
std::string in_one_line(std::string_view text);

/// The one exception the library throws. `what()` is a single line: where, what, got, expected, cure.
class Error : public std::runtime_error {
 public:
  enum class Fault {
    kUser,      ///< an input, file, option or model the caller can mend
    kInternal,  ///< a bug of ours; no input may reach it
  };

  Error(Fault fault, const std::string& message) : std::runtime_error(in_one_line(message)), fault_(fault) {}
  Fault fault() const { return fault_; }

 private:
  Fault fault_;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(Error::Fault::kUser, fmt::format(format, std::forward<Args>(args)...));
}

/// Collects every objection before work starts, so that the user hears all of them at once.
class Objections {
 public:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    keep(fmt::format(format, std::forward<Args>(args)...));
  }
  /// Runs a check that throws; the user's fault becomes one objection among others.
  template <typename Check>
  void gather(const Check& check) {
    try {
      check();
    } catch (const Error& error) {  // boundary: see above
      if (error.fault() == Error::Fault::kInternal) throw;
      keep(error.what());
    }
  }
  bool empty() const { return texts_.empty(); }
  const std::vector<std::string>& texts() const { return texts_; }
  /// Throws one Error with all objections, joined by "; ", if there are any: those that differ in one
  /// name alone as one, with the first names and a count; above 20 the first 20 and how many others.
  void raise() const;

 private:
  void keep(std::string text);

  std::vector<std::string> texts_;
};

/// The first line of a message; libtorch's exceptions carry thousands of characters of backtrace.
std::string first_line(const std::string& text);
/// Likewise, without the name in brackets that the JSON library puts before its reasons.
std::string reason_of(const std::exception& error);

}  // namespace adascale

/// The caller's fault: throws Error(kUser) with the formatted message.
#define ADA_CHECK(condition, ...)                    \
  do {                                               \
    if (!(condition)) ::adascale::fail(__VA_ARGS__); \
  } while (false)

/// Our fault: throws Error(kInternal).
#define ADA_ASSERT(condition, message)                                                                  \
  do {                                                                                                  \
    if (!(condition))                                                                                   \
      throw ::adascale::Error(                                                                          \
          ::adascale::Error::Fault::kInternal,                                                          \
          fmt::format("{}:{}: {} (a bug of adascale: please report it)", __FILE__, __LINE__, message)); \
  } while (false)
