#include "adascale/core/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "adascale/core/error.h"
#include "adascale/core/spelling.h"

namespace adascale {

void check_rule(const std::string& name, double value, const OptionRule& rule) {
  const bool allowed = (value >= rule.min && value <= rule.max) || value == rule.off;
  const std::string most = std::isinf(rule.max) ? "or more" : fmt::format("to {}", rule.max);
  ADA_CHECK(allowed, "{}: got {}, expected {} {}{}", option(name), value, rule.min, most,
            rule.off ? fmt::format(", or {} for off", *rule.off) : "");
}

void check_rule(const std::string& name, const std::string& value, const OptionRule& rule) {
  const auto& choices = rule.choices;
  ADA_CHECK(choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end(),
            "{}: got '{}', expected one of {}", option(name), value, fmt::join(choices, ", "));
}

std::string OptionTexts::text_of(double value) {
  return fmt::format("{}", value);
}

std::string OptionTexts::text_of(const std::vector<double>& values) {
  return fmt::format("{}", fmt::join(values, ", "));
}

std::string OptionTexts::text_of(const std::vector<std::string>& values) {
  return fmt::format("{}", fmt::join(values, ", "));
}

template <class Value>
void RuleChecker::check(const std::string& name, const Value& value, const OptionRule& rule) {
  objections_.gather([&] { check_rule(name, value, rule); });
}
template void RuleChecker::check(const std::string&, const double&, const OptionRule&);
template void RuleChecker::check(const std::string&, const std::string&, const OptionRule&);

}  // namespace adascale
