#include "cli/help.h"

#include <fmt/ranges.h>

namespace adascale {

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool is_positional) const {
  if (is_positional) return option->get_name(true, false);
  std::vector<std::string> names;
  for (const std::string& letter : option->get_snames()) names.push_back("-" + letter);
  const bool is_switch = option->get_items_expected_max() == 0;
  for (const std::string& name : option->get_lnames()) {
    names.push_back("--" + name);
    if (!is_switch) break;
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace adascale
