#include "adascale/core/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"

namespace adascale {

std::string flag_of(const std::string& name) {
  std::string flag = "--" + name;
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  return flag;
}

void check_rule(const std::string& name, double value, const OptionRule& rule) {
  const bool allowed = (value >= rule.min && value <= rule.max) || value == rule.off;
  const std::string most = std::isinf(rule.max) ? "or more" : fmt::format("to {}", rule.max);
  ADA_CHECK(allowed, "{}: got {}, expected {} {}{}", name, value, rule.min, most,
            rule.off ? fmt::format(", or {} for off", *rule.off) : "");
}

void check_rule(const std::string& name, const std::string& value, const OptionRule& rule) {
  const auto& choices = rule.choices;
  ADA_CHECK(choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end(),
            "{}: got '{}', expected one of {}", name, value, fmt::join(choices, ", "));
}

template <class Value>
void RuleChecker::check(const std::string& name, const Value& value, const OptionRule& rule) {
  try {
    check_rule(spelled_ ? spelled_(name) : name, value, rule);
  } catch (const Error& error) {  // boundary: one objection among others
    objections_.add("{}", error.what());
  }
}
template void RuleChecker::check(const std::string&, const double&, const OptionRule&);
template void RuleChecker::check(const std::string&, const std::string&, const OptionRule&);

}  // namespace adascale
