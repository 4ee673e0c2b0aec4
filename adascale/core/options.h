#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace adascale {

/// What is known of one option beside its name, its default and its help line.
///
/// An options struct has one function template
///   `template <class Visitor> void visit_options(Visitor& visit, MyOptions& options)`
/// that calls `visit("param_bw", options.default_param_bw, "weight bits ...", rule)` once per option. That
/// line is the only declaration: the command's flag (`--param-bw`), the JSON key and the Python keyword
/// (`param_bw`), the help text, the range check and the docs come from it.
struct OptionRule {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::optional<double> off = {};         ///< the one value beyond max that is allowed, and turns it off
  std::vector<std::string> choices = {};  ///< for strings: the only values allowed, when not empty
  std::string alias = {};                 ///< at most one other name, e.g. AIMET's `default_param_bw`
};

/// `param_bw` -> `--param-bw`.
std::string flag_of(const std::string& name);

/// Throws Error (user) with the name, the value and what is allowed.
void check_rule(const std::string& name, double value, const OptionRule& rule);
void check_rule(const std::string& name, const std::string& value, const OptionRule& rule);

}  // namespace adascale
