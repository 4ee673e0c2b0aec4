#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// The facts about one option beside its name, default and help line.
///
/// An options struct has one function template
///   `template <class Visitor> void visit_options(Visitor& visit, MyOptions& options)`
/// that calls `visit("param_bw", options.default_param_bw, "weight bits ...", rule)` once per
/// option. That line is the only declaration: the command's flag (`--param-bw`), the JSON key and
/// the Python keyword (`param_bw`), the help text, the range check and the docs come from it.
struct OptionRule {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::optional<double> off = {};         ///< the one allowed value beyond max; it turns the option off
  std::vector<std::string> choices = {};  ///< for strings: the only values allowed, when not empty
  std::string alias = {};                 ///< at most one other name, e.g. AIMET's `default_param_bw`
};

/// Throws Error (user) with the option as the caller writes it, the value and the allowed ones.
void check_rule(const std::string& name, double value, const OptionRule& rule);
void check_rule(const std::string& name, const std::string& value, const OptionRule& rule);

/// How a message calls the value of an option that has none.
inline constexpr char kItsDefault[] = "its default";

/// A visitor that writes down every value of an options struct, by name; kItsDefault where there is none.
class OptionTexts {
 public:
  using Texts = std::map<std::string, std::string>;
  explicit OptionTexts(Texts& texts) : texts_(texts) {}

  template <class Value>
  void operator()(const std::string& name, const Value& value, const std::string& help,
                  const OptionRule& rule) {
    const std::string text = text_of(value);
    texts_[name] = text.empty() ? kItsDefault : text;
  }

 private:
  static std::string text_of(bool value) { return value ? "true" : "false"; }
  static std::string text_of(double value);
  static std::string text_of(int64_t value) { return std::to_string(value); }
  static std::string text_of(const std::optional<int64_t>& value) { return value ? text_of(*value) : ""; }
  static std::string text_of(const std::string& value) { return value; }
  static std::string text_of(const std::vector<double>& values);
  static std::string text_of(const std::vector<std::string>& values);

  Texts& texts_;
};

class Objections;

/// A visitor that checks every value of an options struct against its rule and collects the faults.
class RuleChecker {
 public:
  explicit RuleChecker(Objections& objections) : objections_(objections) {}

  void operator()(const std::string& name, bool, const std::string& help, const OptionRule& rule) {}
  void operator()(const std::string& name, double value, const std::string& help, const OptionRule& rule) {
    check(name, value, rule);
  }
  void operator()(const std::string& name, int64_t value, const std::string& help, const OptionRule& rule) {
    check(name, static_cast<double>(value), rule);
  }
  void operator()(const std::string& name, const std::optional<int64_t>& value, const std::string& help,
                  const OptionRule& rule) {
    if (value) check(name, static_cast<double>(*value), rule);
  }
  void operator()(const std::string& name, const std::string& value, const std::string& help,
                  const OptionRule& rule) {
    check(name, value, rule);
  }
  void operator()(const std::string& name, const std::vector<double>& values, const std::string& help,
                  const OptionRule& rule) {
    for (const double value : values) check(name, value, rule);
  }
  void operator()(const std::string& name, const std::vector<std::string>& values, const std::string& help,
                  const OptionRule& rule) {
    for (const std::string& value : values) check(name, value, rule);
  }

 private:
  template <class Value>
  void check(const std::string& name, const Value& value, const OptionRule& rule);

  Objections& objections_;
};

}  // namespace adascale
