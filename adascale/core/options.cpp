#include "adascale/core/options.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "adascale/core/error.h"

namespace adascale {

std::string flag_of(const std::string& name) {
  std::string flag = "--" + name;
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  return flag;
}

void check_rule(const std::string& name, double value, const OptionRule& rule) {
  const bool allowed = (value >= rule.min && value <= rule.max) || value == rule.off;
  ADA_CHECK(allowed, "{}: got {}, expected {} to {}{}", name, value, rule.min, rule.max,
            rule.off ? fmt::format(", or {} for off", *rule.off) : "");
}

void check_rule(const std::string& name, const std::string& value, const OptionRule& rule) {
  const auto& choices = rule.choices;
  ADA_CHECK(choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end(),
            "{}: got '{}', expected one of {}", name, value, fmt::join(choices, ", "));
}

}  // namespace adascale
