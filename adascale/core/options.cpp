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
  ADA_CHECK(value >= rule.min && value <= rule.max, "{}: got {}, expected {} to {}", name, value, rule.min,
            rule.max);
}

void check_rule(const std::string& name, const std::string& value, const OptionRule& rule) {
  const auto& choices = rule.choices;
  ADA_CHECK(choices.empty() || std::find(choices.begin(), choices.end(), value) != choices.end(),
            "{}: got '{}', expected one of {}", name, value, fmt::join(choices, ", "));
}

}  // namespace adascale
